//! The imports of the world `engine`: `log` and `files` here, `compute` beside this folder. `types` and
//! `model-types` are types alone.

use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime::{Result, bail};

use super::generated::skep::plugin::{compute, files, log, model_types, types};
use crate::host::SourceFile;
use crate::host::state::State;
use crate::protocol::LineLevel;

/// Links every interface of ours that the world imports.
pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    types::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    model_types::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    log::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    files::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    compute::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

impl types::Host for State {}

impl model_types::Host for State {}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) -> Result<()> {
        let level = match level {
            log::Level::Debug => LineLevel::Debug,
            log::Level::Info => LineLevel::Info,
            log::Level::Warn => LineLevel::Warn,
            log::Level::Error => LineLevel::Error,
        };
        self.pen.write(level, &message);
        Ok(())
    }
}

impl files::Host for State {}

impl files::HostFile for State {
    fn name(&mut self, file: Resource<SourceFile>) -> Result<String> {
        Ok(self.table.get(&file)?.name().to_owned())
    }

    fn size(&mut self, file: Resource<SourceFile>) -> Result<u64> {
        Ok(self.table.get(&file)?.size())
    }

    fn read(
        &mut self,
        file: Resource<SourceFile>,
        offset: u64,
        length: u32,
    ) -> Result<Result<Vec<u8>, types::Error>> {
        Ok(self
            .table
            .get(&file)?
            .read(offset, length)
            .map_err(Into::into))
    }

    fn drop(&mut self, file: Resource<SourceFile>) -> Result<()> {
        if self.table.delete(file).is_err() {
            bail!("it dropped a file that it does not have");
        }
        Ok(())
    }
}
