//! What a back end does for the engine.
//!
//! Decides that everything of a card happens in the order in which it was asked for, and how it is said that it does not.

/// A card as its driver shows it. It gives back what it has when it is dropped.
///
/// Everything may be called from any thread. What was asked for happens in that order, some of it after the call returned.
pub(crate) trait Driver: std::fmt::Debug + Send + Sync {
    /// What the driver calls the card.
    fn name(&self) -> &str;

    /// Whether the processor does its work.
    fn is_processor(&self) -> bool {
        false
    }

    /// Whether its kernels take quantised weights in planes ([`super::planes`]), and have `tile_` ones for many
    /// rows, and `rank_rows`.
    fn has_planes(&self) -> bool;

    /// The card's name that stays the same over restarts, as telemetry has it; none if the driver has no such name.
    fn id(&self) -> Option<String> {
        None
    }

    /// Bytes of its memory that nobody has.
    fn free_bytes(&self) -> Result<u64, GpuError>;

    /// The address of so many bytes, a multiple of 256 and never 0; `bytes` is not 0. Their content is any.
    fn allocate(&self, bytes: usize) -> Result<u64, GpuError>;

    /// Gives back what was allocated, after all that was asked for before.
    ///
    /// # Safety
    /// `address` was allocated here, and nothing that is asked for later uses it.
    unsafe fn free(&self, address: u64);

    /// Makes every one of so many bytes `byte`.
    ///
    /// # Safety
    /// They lie within one allocation.
    unsafe fn fill(&self, to: u64, byte: u8, bytes: usize) -> Result<(), GpuError>;

    /// Copies to the card; `from` may go once this returns.
    ///
    /// # Safety
    /// The target lies within one allocation.
    unsafe fn copy_in(&self, to: u64, from: &[u8]) -> Result<(), GpuError>;

    /// Copies from the card, after all that was asked for before, and waits for it.
    ///
    /// # Safety
    /// The source lies within one allocation.
    unsafe fn copy_out(&self, to: &mut [u8], from: u64) -> Result<(), GpuError>;

    /// Waits until all that was asked for is done.
    fn wait(&self) -> Result<(), GpuError>;

    /// Starts `blocks` blocks of `threads` threads; none of `blocks` is 0.
    ///
    /// # Safety
    /// `parameters` are what the kernel takes, each in the low bytes of its own number, and every address among them is of
    /// memory that is as large as the kernel takes it to be, and lives until [`Driver::wait`] returns.
    unsafe fn launch(
        &self,
        kernel: &'static str,
        blocks: [u32; 3],
        threads: u32,
        parameters: &mut [u64],
    ) -> Result<(), GpuError>;

    /// From now on launches by this thread are recorded and do not run. False if this driver cannot record.
    fn begin_recording(&self) -> Result<bool, GpuError>;

    /// What was recorded; whatever happens, nothing is recorded from here on.
    fn end_recording(&self) -> Result<Recorded, GpuError>;

    /// Starts all launches of a recording.
    ///
    /// # Safety
    /// It was recorded here and not forgotten, and everything that the launches were given is still there and as large.
    unsafe fn start(&self, recorded: Recorded) -> Result<(), GpuError>;

    /// Gives a recording back, after all that was asked for before.
    ///
    /// # Safety
    /// It was recorded here, and is not started again.
    unsafe fn forget(&self, recorded: Recorded);
}

/// A driver's name of a recording.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded(pub(crate) u64);

/// Parameters of a kernel, at most.
pub(crate) const PARAMETERS_MAX: usize = 24;

/// Why a card does not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    /// There is no driver.
    #[error("the {vendor} driver's library could not be loaded")]
    Library {
        /// Whose driver: `NVIDIA`, `AMD`.
        vendor: &'static str,
        /// Why.
        #[source]
        source: libloading::Error,
    },
    /// The driver is older than what is asked of it.
    #[error("the {vendor} driver has no function `{function}`; a newer one has")]
    Missing {
        /// Whose driver.
        vendor: &'static str,
        /// What it lacks.
        function: &'static str,
    },
    /// A function failed.
    #[error("the {vendor} driver's `{function}` failed: {name} ({code})")]
    Failed {
        /// Whose driver.
        vendor: &'static str,
        /// Which.
        function: &'static str,
        /// The driver's name of the error.
        name: String,
        /// Its number.
        code: i32,
    },
    /// The program is damaged.
    #[error("the kernels in this program cannot be unpacked ({0}); install it again")]
    Prebuilt(String),
    /// No such card.
    #[error("there is no {vendor} card {index}: this machine has {count}")]
    NoCard {
        /// Whose driver.
        vendor: &'static str,
        /// The one asked for, from 0.
        index: u32,
        /// How many there are.
        count: u32,
    },
    /// A card that kernels cannot run on.
    #[error("`{card}` lacks what kernels need: {feature}; a newer driver may have it")]
    Lacks {
        /// Its name.
        card: String,
        /// What it lacks, by the name in the interface's specification.
        feature: &'static str,
    },
    /// More than the card gives in one piece.
    #[error("{bytes} bytes in one piece are more than the card gives, {most}")]
    Piece {
        /// Asked for.
        bytes: u64,
        /// At most.
        most: u64,
    },
    /// More blocks than the card starts at once.
    #[error(
        "`{kernel}` over {blocks:?} blocks is more than the card starts, {most:?}; take smaller batches"
    )]
    Grid {
        /// What was to start.
        kernel: &'static str,
        /// How often, in each direction.
        blocks: [u32; 3],
        /// At most.
        most: [u32; 3],
    },
    /// No kernel has that name, so many threads and so many parameters: a fault of this program.
    #[error("there is no kernel `{name}` of {threads} threads that takes {parameters} numbers")]
    Kernel {
        /// Its name.
        name: &'static str,
        /// Threads of a block.
        threads: u32,
        /// Numbers that it is given.
        parameters: usize,
    },
}
