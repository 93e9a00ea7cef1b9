//! Packed weights that are kept in a file between two starts.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has failed"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use skep_hw::{
    Batch, Bounds, CpuSettings, Device, Dtype, Graph, Index, Op, Plan, Region, Sequence, Weight,
};

/// Rows that do not fill a strip, columns of one block of the largest types.
const ROWS: u32 = 37;
const COLUMNS: u32 = 512;

#[test]
fn what_was_kept_is_used_and_what_is_damaged_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (model, packed) = (folder.path().join("model"), folder.path().join("packed"));
    fs::write(&model, model_bytes()).unwrap();

    let (first, region) = run(&model, &packed);
    assert!(region.unwritten_bytes() > 0);
    region.write_packed().unwrap();
    assert_eq!(region.unwritten_bytes(), 0);
    assert_eq!(names(folder.path()), ["model", "packed"]);

    let whole = fs::read(&packed).unwrap();
    let (again, region) = run(&model, &packed);
    assert_eq!(first, again);
    assert_eq!(region.unwritten_bytes(), 0, "it was packed again");

    let without_tail = whole[..whole.len() - 1].to_vec();
    let head_only = whole[..20].to_vec();
    let mut too_many = whole.clone();
    too_many[16..24].fill(0xff);
    let mut other_order = whole.clone();
    other_order[7] ^= 1;
    let mut other_model = whole.clone();
    other_model[8] ^= 1;
    let mut beyond_the_end = whole.clone();
    beyond_the_end[24 + 8 + 7] = 0x7f;
    let mut odd_place = whole.clone();
    odd_place[24 + 8] |= 1;
    let mut no_type = whole.clone();
    no_type[24 + 16] = 0xee;
    let mut other_type = whole.clone();
    other_type[24 + 16] = 1;
    let mut huge_rows = whole.clone();
    huge_rows[24 + 20..24 + 24].fill(0xff);
    let mut huge_columns = whole.clone();
    huge_columns[24 + 24..24 + 28].copy_from_slice(&0xffff_ff00_u32.to_le_bytes());
    for damaged in [
        huge_rows,
        huge_columns,
        Vec::new(),
        without_tail,
        head_only,
        too_many,
        other_order,
        other_model,
        beyond_the_end,
        odd_place,
        no_type,
        other_type,
    ] {
        fs::write(&packed, damaged).unwrap();
        let (found, region) = run(&model, &packed);
        assert_eq!(first, found);
        assert!(region.unwritten_bytes() > 0, "a damaged file was believed");
        region.write_packed().unwrap();
        assert!(fs::read(&packed).unwrap() == whole, "it was not mended");
    }

    // What a killed process has left is in nobody's way; one that is at it is left alone.
    let part = folder.path().join(".new-packed");
    fs::remove_file(&packed).unwrap();
    fs::write(&part, vec![1; whole.len() + 1]).unwrap();
    let (_, region) = run(&model, &packed);
    let busy = File::open(&part).unwrap();
    busy.lock().unwrap();
    region.write_packed().unwrap();
    assert!(!packed.exists());
    drop(busy);
    let (_, region) = run(&model, &packed);
    region.write_packed().unwrap();
    assert!(fs::read(&packed).unwrap() == whole);

    // Where nothing can be written, what was there stays.
    let nowhere = folder.path().join("no folder").join("packed");
    let (found, region) = run(&model, &nowhere);
    assert_eq!(first, found);
    assert!(region.write_packed().is_err());
    assert_eq!(names(folder.path()), ["model", "packed"]);
}

#[test]
fn a_full_disk_costs_the_next_start_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    fs::write(&model, model_bytes()).unwrap();
    let Some(disk) = Disk::mount(&folder.path().join("disk")) else {
        return;
    };
    let packed = disk.0.join("packed");
    let (first, region) = run(&model, &packed);
    let error = region.write_packed().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
    assert_eq!(names(&disk.0), [""; 0], "half a file was left");
    let (again, _) = run(&model, &packed);
    assert_eq!(first, again);
}

/// A disk of memory that holds less than what is packed; gone with its handle.
struct Disk(PathBuf);

impl Disk {
    /// None where this may not be done, which it says.
    #[expect(clippy::print_stderr, reason = "what is not tried must show")]
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=128k", "tmpfs"])
            .arg(at)
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(at.to_owned()));
        }
        eprintln!("not tried: a small disk can only be mounted as root");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// A weight of each type, of numbers that look random, with small scales.
fn model_bytes() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut state = 7_u32;
    for dtype in Dtype::ALL {
        let row = dtype.row_bytes(COLUMNS as usize).unwrap();
        let start = bytes.len();
        for _ in 0..row * ROWS as usize {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.push((state >> 24) as u8);
        }
        if !dtype.is_quantised() {
            // Below two, so that no number is infinite.
            for number in bytes[start..].chunks_mut(dtype.block_bytes()) {
                *number.last_mut().unwrap() &= 0xbf;
            }
            bytes.resize(bytes.len().next_multiple_of(64), 0);
            continue;
        }
        for block in bytes[start..].chunks_mut(dtype.block_bytes()) {
            let half = half::f16::from_f32(0.01).to_le_bytes();
            let at = if dtype == Dtype::Q6K { 208 } else { 0 };
            block[at..at + 2].copy_from_slice(&half);
            if matches!(dtype, Dtype::Q4_1 | Dtype::Q5_1 | Dtype::Q4K | Dtype::Q5K) {
                block[2..4].copy_from_slice(&half);
            }
        }
        bytes.resize(bytes.len().next_multiple_of(64), 0);
    }
    bytes
}

/// The products of one row with every weight, to the bit, and the file that they came from.
fn run(model: &Path, packed: &Path) -> (Vec<u32>, Region) {
    let region = Region::map(&File::open(model).unwrap()).unwrap();
    region.keep_packed(packed);
    let device = Device::cpu(CpuSettings::default()).unwrap();
    let mut offset = 0;
    let mut bits = Vec::new();
    for dtype in Dtype::ALL {
        let weight = Weight::from_region(&region, offset, dtype, ROWS, COLUMNS).unwrap();
        offset += weight.bytes().next_multiple_of(64);
        let x: Vec<f32> = (0..COLUMNS).map(|i| (i * 37 % 101) as f32 - 50.0).collect();
        let x = Weight::from_values(x, 1, COLUMNS).unwrap();
        let ops = vec![
            Op::Embed {
                table: 0,
                index: Index::Tokens,
            },
            Op::Outputs { x: 0 },
            Op::Matmul {
                x: 1,
                weight: 1,
                bias: None,
            },
        ];
        let bounds = Bounds {
            tokens: 1,
            sequences: 1,
            outputs: 1,
        };
        let graph = Graph::check(ops, vec![x, weight], None, bounds).unwrap();
        let mut plan = Plan::compile(&device, graph).unwrap();
        let sequences = [Sequence {
            tokens: 1,
            start: 0,
            pages: &[],
        }];
        let batch = Batch {
            tokens: &[0],
            sequences: &sequences,
            outputs: &[0],
        };
        plan.run(&batch).unwrap();
        bits.extend(plan.row(0).unwrap().unwrap().iter().map(|x| x.to_bits()));
    }
    (bits, region)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
