//! What the worlds `upstream` and `notifier` import: our interfaces here; WASI from its own crates, in a context that has
//! nothing in it. Sockets are not linked at all, and of HTTP only the way out.

use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime::{Result, bail};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::io::error::Error as IoError;
use wasmtime_wasi::p2::bindings::{cli, filesystem, random};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiView as _, p2};
use wasmtime_wasi_http::p2::add_only_http_to_linker_async;

use super::http::body_error;
use super::notifier::skep::plugin::mail;
use super::state::{HeldSecret, ServiceState};
use super::upstream::skep::plugin::secrets;
use crate::egress::{Mail, Protection};
use crate::host::engine::generated::skep::plugin::{log, model_types, types};
use crate::host::runtime::World;
use crate::protocol::LineLevel;

type State = ServiceState;

/// Links what a world may import.
pub(super) fn link(linker: &mut Linker<State>, world: World) -> Result<()> {
    types::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    log::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    secrets::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    match world {
        World::Upstream => model_types::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?,
        World::Notifier => mail::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?,
        World::Engine | World::Scheduler | World::Installer => {
            bail!("no service has the world `{}`", world.name())
        }
    }
    link_wasi(linker)?;
    add_only_http_to_linker_async(linker)?;
    // In its own crate this function knows none of the errors that bodies end with.
    linker.allow_shadowing(true);
    let mut http = linker.instance("wasi:http/types@0.2.12")?;
    http.func_wrap(
        "http-error-code",
        |store, (error,): (Resource<IoError>,)| Ok((body_error(store.data().table.get(&error)?),)),
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What standard libraries ask for at their start, and what HTTP is made of.
fn link_wasi(l: &mut Linker<State>) -> Result<()> {
    p2::add_to_linker_proxy_interfaces_async(l)?;
    random::insecure::add_to_linker::<State, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<State, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    cli::environment::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::exit::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    filesystem::types::add_to_linker::<State, WasiFilesystem>(l, State::filesystem)?;
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(l, State::filesystem)?;
    Ok(())
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
        self.egress.teller().tell(level, &message);
        Ok(())
    }
}

impl secrets::Host for State {}

impl secrets::HostSecret for State {
    fn open(&mut self, name: String) -> Result<Result<Resource<HeldSecret>, types::Error>> {
        match self.egress.open_secret(&self.scope, &name) {
            Ok(name) => Ok(Ok(self.table.push(HeldSecret(name))?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn header_value(&mut self, secret: Resource<HeldSecret>, prefix: String) -> Result<String> {
        let HeldSecret(name) = self.table.get(&secret)?;
        match self.egress.stand_in(&self.scope, name, &prefix) {
            Ok(text) => Ok(text),
            Err(error) => bail!("`secret.header-value`: {error}"),
        }
    }

    fn path_value(&mut self, secret: Resource<HeldSecret>) -> Result<Result<String, types::Error>> {
        let HeldSecret(name) = self.table.get(&secret)?;
        let stand_in = self.egress.path_stand_in(&self.scope, name);
        Ok(stand_in.map_err(types::Error::from))
    }

    fn drop(&mut self, secret: Resource<HeldSecret>) -> Result<()> {
        self.table.delete(secret)?;
        Ok(())
    }
}

impl mail::Host for State {
    async fn send(
        &mut self,
        server: mail::Server,
        password: Option<Resource<HeldSecret>>,
        message: mail::Message,
    ) -> Result<Result<(), types::Error>> {
        let password = match password {
            Some(secret) => Some(self.table.get(&secret)?.0.clone()),
            None => None,
        };
        let mail = Mail {
            host: server.host,
            port: server.port,
            protection: match server.security {
                mail::Security::Tls => Protection::Tls,
                mail::Security::Starttls => Protection::StartTls,
                mail::Security::None => Protection::None,
            },
            user: server.user,
            password,
            sender: message.sender,
            recipients: message.recipients,
            subject: message.subject,
            body: message.body,
        };
        let sent = self.egress.mail(&self.scope, &mail).await;
        Ok(sent.map_err(|error| super::convert::mail_error(error, self.egress.teller())))
    }
}
