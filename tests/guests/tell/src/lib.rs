//! A notifier that sends mail as the alert's facts say: `host`, `port`, `security`, `user`, `secret`, `sender`, `to`.

#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    missing_debug_implementations,
    unsafe_code,
    clippy::all,
    clippy::error_impl_error,
    clippy::undocumented_unsafe_blocks,
    reason = "generated from wit/"
)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "notifier",
        generate_all,
    });
}

#[cfg(target_arch = "wasm32")]
mod notifier {
    use crate::bindings::exports::skep::plugin::notice::{Alert, Error, Guest, Settings};
    use crate::bindings::skep::plugin::mail::{Message, Security, Server, send};
    use crate::bindings::skep::plugin::secrets::Secret;

    struct Tell;

    impl Guest for Tell {
        fn notify(_: Settings, alert: Alert) -> Result<(), Error> {
            let fact = |wanted: &str| {
                let found = alert.facts.iter().find(|(name, _)| name == wanted);
                found.map(|(_, value)| value.clone())
            };
            let server = Server {
                host: fact("host").unwrap_or_default(),
                port: fact("port")
                    .and_then(|port| port.parse().ok())
                    .unwrap_or_default(),
                security: match fact("security").as_deref() {
                    Some("tls") => Security::Tls,
                    Some("starttls") => Security::Starttls,
                    _ => Security::None,
                },
                user: fact("user"),
            };
            let password = match fact("secret") {
                Some(name) => Some(Secret::open(&name)?),
                None => None,
            };
            let recipients = fact("to").unwrap_or_default();
            let message = Message {
                sender: fact("sender").unwrap_or_default(),
                recipients: recipients.split(';').map(str::to_owned).collect(),
                subject: alert.title,
                body: alert.text,
            };
            send(&server, password.as_ref(), &message)
        }
    }

    #[allow(unsafe_code, reason = "the component's entry points are generated")]
    const _: () = {
        crate::bindings::export!(Tell with_types_in crate::bindings);
    };
}
