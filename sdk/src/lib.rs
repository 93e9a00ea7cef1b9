//! Under construction.
#![cfg_attr(not(feature = "std"), no_std)]
#[allow(missing_docs, unreachable_pub, unused_qualifications, missing_debug_implementations, unsafe_code, clippy::all, clippy::allow_attributes_without_reason, reason = "generated")]
pub mod engine_bindings {
    wit_bindgen::generate!({ path: "../wit", world: "engine", pub_export_macro: true, default_bindings_module: "skep_sdk::engine_bindings", generate_all });
}
#[allow(missing_docs, unreachable_pub, unused_qualifications, missing_debug_implementations, unsafe_code, clippy::all, clippy::allow_attributes_without_reason, reason = "generated")]
pub mod scheduler_bindings {
    wit_bindgen::generate!({ path: "../wit", world: "scheduler", pub_export_macro: true, default_bindings_module: "skep_sdk::scheduler_bindings" });
}
#[allow(missing_docs, unreachable_pub, unused_qualifications, missing_debug_implementations, unsafe_code, clippy::all, clippy::allow_attributes_without_reason, reason = "generated")]
pub mod upstream_bindings {
    wit_bindgen::generate!({ path: "../wit", world: "upstream", pub_export_macro: true, default_bindings_module: "skep_sdk::upstream_bindings", generate_all });
}
