//! The bindings of what several worlds import, generated once: so an error, a secret or a request is the same type in each.

#[doc(hidden)]
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    missing_debug_implementations,
    unsafe_code,
    clippy::all,
    clippy::error_impl_error,
    clippy::undocumented_unsafe_blocks,
    clippy::use_self,
    reason = "generated from wit/"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package skep:sdk;

            world shared {
                import skep:plugin/types@0.1.0;
                import skep:plugin/log@0.1.0;
                import skep:plugin/secrets@0.1.0;
                import skep:plugin/mail@0.1.0;
                import skep:plugin/model-types@0.1.0;
                import wasi:clocks/monotonic-clock@0.2.12;
                import wasi:http/outgoing-handler@0.2.12;
            }
        ",
        world: "skep:sdk/shared",
        generate_all,
    });
}
