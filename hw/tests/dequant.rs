//! What the bytes of each storage type mean, against what the `gguf` package makes of them.
//!
//! `dequant.bin` was made by `tests/reference/dequant_golden.py`, which says how it is laid out.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has failed"
)]

use std::io::Write as _;

use skep_hw::{
    Batch, Bounds, CpuSettings, Device, Dtype, Graph, Index, Isa, Op, Plan, Region, Sequence,
    Weight,
};

#[test]
fn every_type_means_what_gguf_says() {
    let records = records();
    assert_eq!(records.len(), 10);
    for (dtype, blocks, expect) in records {
        for isa in Isa::available() {
            let found = read(dtype, &blocks, expect.len(), isa);
            for (index, (f, e)) in found.iter().zip(&expect).enumerate() {
                assert_eq!(f, e, "{} on {isa:?}: number {index}", dtype.name());
            }
        }
    }
}

/// The numbers of one row through an embedding.
fn read(dtype: Dtype, blocks: &[u8], count: usize, isa: Isa) -> Vec<f32> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(blocks).unwrap();
    let region = Region::map(&file).unwrap();
    let table = Weight::from_region(&region, 0, dtype, 1, count as u32).unwrap();
    let settings = CpuSettings {
        isa: Some(isa),
        ..CpuSettings::default()
    };
    let device = Device::cpu(settings).unwrap();
    let ops = vec![
        Op::Embed {
            table: 0,
            index: Index::Tokens,
        },
        Op::Outputs { x: 0 },
    ];
    let bounds = Bounds {
        tokens: 1,
        sequences: 1,
        outputs: 1,
    };
    let graph = Graph::check(ops, vec![table], None, bounds).unwrap();
    let mut plan = Plan::compile(&device, graph).unwrap();
    let sequences = [Sequence {
        tokens: 1,
        start: 0,
        pages: &[],
    }];
    plan.run(&Batch {
        tokens: &[0],
        sequences: &sequences,
        outputs: &[0],
    })
    .unwrap();
    plan.row(0).unwrap().unwrap().to_vec()
}

fn records() -> Vec<(Dtype, Vec<u8>, Vec<f32>)> {
    let mut bytes = &include_bytes!("dequant.bin")[..];
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let name = std::str::from_utf8(&bytes[..8])
            .unwrap()
            .trim_end_matches('\0');
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let (size, count) = (number(8), number(12));
        let blocks = bytes[16..16 + size].to_vec();
        let values = bytes[16 + size..16 + size + 4 * count].as_chunks::<4>().0;
        let values = values.iter().map(|v| f32::from_le_bytes(*v)).collect();
        let plain = name.to_lowercase().replace('_', "-");
        let dtype = Dtype::ALL.into_iter().find(|d| d.name() == plain).unwrap();
        records.push((dtype, blocks, values));
        bytes = &bytes[16 + size + 4 * count..];
    }
    records
}
