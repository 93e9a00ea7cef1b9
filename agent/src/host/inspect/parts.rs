//! How many parts a component has, all that is nested in it counted.
//!
//! Decides when there are too many: a validator's own limits are of a size (a million functions, bodies of 7 MB) at which the
//! compiler works for minutes before it is killed.

use wasmparser::{Payload, TypeRef};

use super::{InspectError, damaged};
use crate::limits::{
    COMPONENT_BODY_BYTES, COMPONENT_FUNCTIONS, COMPONENT_INSTANCES, COMPONENT_NESTING,
    COMPONENT_TABLES, COMPONENT_TYPES, MODULE_MEMORIES,
};

#[derive(Debug, Default)]
pub(super) struct Parts {
    depth: u64,
    types: u64,
    functions: u64,
    instances: u64,
    tables: u64,
    /// Of the module under way.
    memories: u64,
}

impl Parts {
    /// Counts what begins here.
    pub(super) fn count(&mut self, payload: &Payload<'_>) -> Result<(), InspectError> {
        let more = |counter: &mut u64, count: u32, what, limit| {
            *counter += u64::from(count);
            within(*counter, what, limit)
        };
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                self.depth += 1;
                within(self.depth, "levels of nesting", COMPONENT_NESTING)?;
                self.memories = 0;
                more(
                    &mut self.instances,
                    1,
                    "modules and instances",
                    COMPONENT_INSTANCES,
                )
            }
            Payload::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(())
            }
            Payload::TypeSection(section) => {
                more(&mut self.types, section.count(), "types", COMPONENT_TYPES)
            }
            Payload::CoreTypeSection(section) => {
                more(&mut self.types, section.count(), "types", COMPONENT_TYPES)
            }
            Payload::ComponentTypeSection(section) => {
                more(&mut self.types, section.count(), "types", COMPONENT_TYPES)
            }
            Payload::FunctionSection(section) => more(
                &mut self.functions,
                section.count(),
                "functions",
                COMPONENT_FUNCTIONS,
            ),
            Payload::ComponentCanonicalSection(section) => more(
                &mut self.functions,
                section.count(),
                "functions",
                COMPONENT_FUNCTIONS,
            ),
            Payload::ComponentAliasSection(section) => more(
                &mut self.functions,
                section.count(),
                "functions",
                COMPONENT_FUNCTIONS,
            ),
            Payload::InstanceSection(section) => more(
                &mut self.instances,
                section.count(),
                "modules and instances",
                COMPONENT_INSTANCES,
            ),
            Payload::ComponentInstanceSection(section) => more(
                &mut self.instances,
                section.count(),
                "modules and instances",
                COMPONENT_INSTANCES,
            ),
            Payload::TableSection(section) => more(
                &mut self.tables,
                section.count(),
                "tables",
                COMPONENT_TABLES,
            ),
            Payload::MemorySection(section) => more(
                &mut self.memories,
                section.count(),
                "memory in one module",
                MODULE_MEMORIES,
            ),
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    if let TypeRef::Memory(_) = import.map_err(damaged)?.ty {
                        more(
                            &mut self.memories,
                            1,
                            "memory in one module",
                            MODULE_MEMORIES,
                        )?;
                    }
                }
                Ok(())
            }
            Payload::CodeSectionEntry(body) => {
                let bytes = body.range().len() as u64;
                within(bytes, "bytes in one function", COMPONENT_BODY_BYTES)
            }
            _ => Ok(()),
        }
    }
}

fn within(count: u64, what: &'static str, limit: u64) -> Result<(), InspectError> {
    if count > limit {
        return Err(InspectError::TooMany { what, limit });
    }
    Ok(())
}
