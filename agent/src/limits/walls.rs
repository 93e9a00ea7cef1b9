//! Limits of processes behind walls (`confine`), and of what a compiler there is given (`host::inspect`).

/// Files that a confined process may have open: `MODEL_FILES` of a model, those of its draft, and some of its own.
pub const CONFINED_FILES: u64 = 1024;

/// The same with a card: a driver opens a node dozens of times for each card that it sees.
pub const CONFINED_FILES_CARD: u64 = 4096;

/// Bytes of one file that a confined process writes when nobody says more: room for memory that has a descriptor.
pub const CONFINED_FILE_BYTES: u64 = 256 << 20;

/// The same with a card: drivers share memory through files in memory.
pub const CARD_FILE_BYTES: u64 = 16 << 30;

/// Paths of one kind that a confined process may be given: the parts of the largest model, and room.
pub const CONFINED_PATHS: usize = 1024;

/// Functions of a component. Interpreters of JavaScript and Python have some 30,000.
pub const COMPONENT_FUNCTIONS: u64 = 200_000;

/// Types of a component; the same have some thousands.
pub const COMPONENT_TYPES: u64 = 20_000;

/// Core modules, components and instances of either; an interpreter with its libraries has some hundred.
pub const COMPONENT_INSTANCES: u64 = 1_000;

/// Tables: one for each module, and one for its calls through others.
pub const COMPONENT_TABLES: u64 = 2_000;

/// Memories of one module. Nothing makes more; components have more by having several modules.
pub const MODULE_MEMORIES: u64 = 1;

/// How deep components and modules are nested; tools make three levels.
pub const COMPONENT_NESTING: u64 = 32;

/// Bytes of one function: the loop of an interpreter has some hundred thousand, and compiling takes more than proportional time.
pub const COMPONENT_BODY_BYTES: u64 = 2 << 20;
