//! Components from seeds, by `wasm-smith`.
//!
//! Decides their kinds: two of three are core modules that it made inside of a component with the shape of a scheduler, whose
//! functions are called as soon as it is instantiated, before anybody looks at types; the third is a component that it made
//! whole, which is put to the linker of engines. Some have every feature that it knows, most only those that we have.

use anyhow::{Context, Result};
use arbitrary::Unstructured;
use wasm_encoder::{
    Alias, CanonicalFunctionSection, ComponentAliasSection, ComponentExportKind,
    ComponentExportSection, ComponentInstanceSection, ComponentSectionId, ComponentTypeSection,
    ComponentValType, ExportKind, InstanceSection, ModuleArg, RawSection,
};
use wasm_smith::{Component, Config, Module};

/// The same one for the same seed.
pub(super) fn component(seed: u64) -> Result<Vec<u8>> {
    // From some noise it can make nothing.
    let made = (0..ATTEMPTS).find_map(|attempt| {
        let noise = noise(seed, attempt);
        let mut noise = Unstructured::new(&noise);
        let config = config(seed);
        if seed % 3 == 2 {
            return Some(Component::new(config, &mut noise).ok()?.to_bytes());
        }
        let module = Module::new(config, &mut noise).ok()?.to_bytes();
        Some(wrap(&module))
    });
    made.with_context(|| format!("nothing could be made of seed {seed}"))
}

const ATTEMPTS: u64 = 64;

fn config(seed: u64) -> Config {
    let every = seed.is_multiple_of(11);
    Config {
        exports: Some(EXPORTS.to_vec()).filter(|_| seed % 3 != 2),
        max_imports: if seed % 3 == 2 { 20 } else { 0 },
        max_instructions: 400,
        max_funcs: 40,
        // A seventh never trap, so that they go on to the end or to the limit.
        disallow_traps: seed.is_multiple_of(7),
        gc_enabled: every,
        exceptions_enabled: every,
        memory64_enabled: every,
        // With references come those to the outside, which need a collector.
        reference_types_enabled: every,
        relaxed_simd_enabled: every,
        tail_call_enabled: every,
        threads_enabled: every,
        wide_arithmetic_enabled: every,
        custom_page_sizes_enabled: every,
        allow_invalid_funcs: seed.is_multiple_of(13),
        max_memories: if every { 4 } else { 1 },
        max_tables: if every { 4 } else { 1 },
        min_memories: u32::from(seed.is_multiple_of(2)),
        ..Config::default()
    }
}

/// `(module (func (export "a") unreachable) (func (export "b") unreachable))`: what every module exports.
const EXPORTS: &[u8] =
    b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x03\x02\0\0\x07\x09\x02\x01a\0\0\x01b\0\x01\
\x0a\x09\x02\x03\0\0\x0b\x03\0\0\x0b";

/// A module that calls both when it is instantiated, and has a function for others to call:
/// `(module (import "g" "a" (func)) (import "g" "b" (func)) (func call 0 call 1) (func (export "f")) (start 2))`.
const CALLER: &[u8] =
    b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x0d\x02\x01g\x01a\0\0\x01g\x01b\0\0\x03\x03\x02\0\0\
\x07\x05\x01\x01f\0\x03\x08\x01\x02\x0a\x0b\x02\x06\0\x10\0\x10\x01\x0b\x02\0\x0b";

fn wrap(module: &[u8]) -> Vec<u8> {
    let mut component = wasm_encoder::Component::new();
    for data in [module, CALLER] {
        let id = ComponentSectionId::CoreModule.into();
        component.section(&RawSection { id, data });
    }
    let mut instances = InstanceSection::new();
    let nothing: [(&str, ModuleArg); 0] = [];
    instances.instantiate(0, nothing);
    instances.instantiate(1, [("g", ModuleArg::Instance(0))]);
    component.section(&instances);
    let mut aliases = ComponentAliasSection::new();
    aliases.alias(Alias::CoreInstanceExport {
        instance: 1,
        kind: ExportKind::Func,
        name: "f",
    });
    component.section(&aliases);
    let mut types = ComponentTypeSection::new();
    let nothing: [(&str, ComponentValType); 0] = [];
    types.function().params(nothing).result(None);
    component.section(&types);
    let mut functions = CanonicalFunctionSection::new();
    functions.lift(0, 0, []);
    component.section(&functions);
    let mut exported = ComponentInstanceSection::new();
    let kind = ComponentExportKind::Func;
    exported.export_items(["observe", "place", "route"].map(|name| (name, kind, 0)));
    component.section(&exported);
    let mut exports = ComponentExportSection::new();
    let world = "skep:plugin/policy@0.1.0";
    exports.export(world, ComponentExportKind::Instance, 0, None);
    component.section(&exports);
    component.finish()
}

/// 4 KiB that depend on both numbers alone (SplitMix64).
fn noise(seed: u64, attempt: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ attempt.rotate_right(8);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    (0..512).flat_map(|_| next().to_le_bytes()).collect()
}
