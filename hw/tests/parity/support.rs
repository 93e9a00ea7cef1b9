//! Graphs of one op, fed with chosen numbers, run on any instruction set.

use std::io::Write as _;
use std::num::NonZeroUsize;

use skep_hw::{
    Batch, Bounds, Cache, CpuSettings, Device, Dtype, Graph, Index, Isa, Op, Plan, Region,
    Sequence, Weight,
};

/// A small generator (PCG, O'Neill 2014) so that a failing case can be run again by its seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d);
        random.next();
        random
    }

    pub(crate) fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mixed = (((self.0 >> 18) ^ self.0) >> 27) as u32;
        mixed.rotate_right((self.0 >> 59) as u32)
    }

    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.next() % bound
    }

    /// From -1 to 1.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() as f32 / u32::MAX as f32).mul_add(2.0, -1.0)
    }

    /// About normal.
    pub(crate) fn normal(&mut self) -> f32 {
        (0..6).map(|_| self.unit()).sum::<f32>() * 0.7
    }

    pub(crate) fn normals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.normal()).collect()
    }
}

/// A weight of `dtype`, mapped out of a file as a model's would be.
pub(crate) fn weight(random: &mut Random, dtype: Dtype, rows: u32, columns: u32) -> Weight {
    let bytes = weight_bytes(random, dtype, rows as usize, columns as usize);
    mapped(&bytes, dtype, rows, columns)
}

pub(crate) fn mapped(bytes: &[u8], dtype: Dtype, rows: u32, columns: u32) -> Weight {
    let mut file = tempfile::tempfile().unwrap();
    // An offset that is aligned to the type and to nothing more.
    let offset = dtype.alignment() * 3;
    file.write_all(&vec![0xa5; offset as usize]).unwrap();
    file.write_all(bytes).unwrap();
    let region = Region::map(&file).unwrap();
    Weight::from_region(&region, offset, dtype, rows, columns).unwrap()
}

fn weight_bytes(random: &mut Random, dtype: Dtype, rows: usize, columns: usize) -> Vec<u8> {
    let numbers = rows * columns;
    match dtype {
        Dtype::F32 => random
            .normals(numbers)
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect(),
        Dtype::F16 => {
            let halves = random.normals(numbers);
            halves
                .iter()
                .flat_map(|x| half::f16::from_f32(*x).to_le_bytes())
                .collect()
        }
        Dtype::Bf16 => {
            let halves = random.normals(numbers);
            halves
                .iter()
                .flat_map(|x| half::bf16::from_f32(*x).to_le_bytes())
                .collect()
        }
        _ => {
            let size = dtype.block_bytes();
            let mut bytes: Vec<u8> = (0..dtype.row_bytes(columns).unwrap() * rows)
                .map(|_| random.next() as u8)
                .collect();
            let scales: &[usize] = match dtype {
                Dtype::Q4_1 | Dtype::Q5_1 | Dtype::Q4K | Dtype::Q5K => &[0, 2],
                Dtype::Q6K => &[208],
                _ => &[0],
            };
            for block in bytes.chunks_mut(size) {
                for at in scales {
                    let scale = half::f16::from_f32(random.unit() * 0.02);
                    block[*at..*at + 2].copy_from_slice(&scale.to_le_bytes());
                }
            }
            bytes
        }
    }
}

/// A plan whose first op yields the rows of `x` for tokens 0, 1, 2...
pub(crate) struct Fed {
    pub(crate) ops: Vec<Op>,
    pub(crate) weights: Vec<Weight>,
    pub(crate) cache: Option<(Vec<skep_hw::CacheLayer>, Dtype)>,
}

impl Fed {
    /// Op 0 and weight 0 are the input.
    pub(crate) fn with(x: &[f32], width: usize) -> Self {
        let rows = (x.len() / width) as u32;
        Self {
            ops: vec![Op::Embed {
                table: 0,
                index: Index::Tokens,
            }],
            weights: vec![Weight::from_values(x.to_vec(), rows, width as u32).unwrap()],
            cache: None,
        }
    }

    /// The next op; yields its place.
    pub(crate) fn then(&mut self, op: Op) -> u32 {
        self.ops.push(op);
        self.ops.len() as u32 - 1
    }

    pub(crate) fn weight(&mut self, weight: Weight) -> u32 {
        self.weights.push(weight);
        self.weights.len() as u32 - 1
    }

    pub(crate) fn vector(&mut self, values: Vec<f32>) -> u32 {
        let columns = values.len() as u32;
        self.weight(Weight::from_values(values, 1, columns).unwrap())
    }

    pub(crate) fn compile(&self, device: &Device, bounds: Bounds) -> Plan {
        let cache = self
            .cache
            .as_ref()
            .map(|(layers, dtype)| Cache::create(device, layers, PAGES, 16, *dtype).unwrap());
        let graph = Graph::check(self.ops.clone(), self.weights.clone(), cache, bounds).unwrap();
        Plan::compile(device, graph).unwrap()
    }
}

/// Pages of a test's cache, of 16 tokens.
pub(crate) const PAGES: u32 = 160;

pub(crate) fn device(isa: Isa, threads: usize) -> Device {
    Device::cpu(CpuSettings {
        threads: NonZeroUsize::new(threads),
        isa: Some(isa),
    })
    .unwrap()
}

/// Instruction sets to compare with the reference.
pub(crate) fn fast() -> Vec<Isa> {
    Isa::available()
        .into_iter()
        .filter(|isa| *isa != Isa::Reference)
        .collect()
}

pub(crate) fn bounds(tokens: usize) -> Bounds {
    Bounds {
        tokens: tokens as u32,
        sequences: 8,
        outputs: tokens as u32,
    }
}

/// All rows of one batch in which `lengths` sequences start at 0.
pub(crate) fn all_rows(plan: &mut Plan, lengths: &[u32], pooled: bool) -> Vec<Vec<f32>> {
    let tokens: Vec<u32> = (0..lengths.iter().sum()).collect();
    let pages: Vec<Vec<u32>> = (0..lengths.len() as u32)
        .map(|s| {
            (0..PAGES / lengths.len() as u32)
                .map(|p| p * lengths.len() as u32 + s)
                .collect()
        })
        .collect();
    let sequences: Vec<Sequence<'_>> = lengths
        .iter()
        .zip(&pages)
        .map(|(tokens, pages)| Sequence {
            tokens: *tokens,
            start: 0,
            pages,
        })
        .collect();
    let count = if pooled { lengths.len() } else { tokens.len() };
    let outputs: Vec<u32> = (0..count as u32).collect();
    plan.run(&Batch {
        tokens: &tokens,
        sequences: &sequences,
        outputs: &outputs,
    })
    .unwrap();
    (0..count)
        .map(|row| plan.row(row).unwrap().unwrap().to_vec())
        .collect()
}

/// Each row within `tolerance` of its largest number, NaN and infinities alike.
pub(crate) fn assert_close(what: &str, found: &[Vec<f32>], expect: &[Vec<f32>], tolerance: f32) {
    assert_eq!(found.len(), expect.len(), "{what}: rows");
    for (row, (found, expect)) in found.iter().zip(expect).enumerate() {
        assert_eq!(found.len(), expect.len(), "{what}: width");
        let most = expect
            .iter()
            .filter(|x| x.is_finite())
            .fold(0.0_f32, |m, x| m.max(x.abs()));
        for (column, (f, e)) in found.iter().zip(expect).enumerate() {
            let same = if e.is_finite() {
                (f - e).abs() <= tolerance * most.max(1e-30)
            } else {
                f == e || (f.is_nan() && e.is_nan())
            };
            assert!(
                same,
                "{what}: row {row}, column {column}: {f}, expected {e} (of {most})"
            );
        }
    }
}

pub(crate) fn bits(rows: &[Vec<f32>]) -> Vec<Vec<u32>> {
    rows.iter()
        .map(|row| row.iter().map(|x| x.to_bits()).collect())
        .collect()
}
