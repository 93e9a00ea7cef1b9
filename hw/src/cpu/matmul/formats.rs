//! What a product asks of a packed type.
//!
//! Decides how the bits of a strip, as `packed.rs` lays them out, become bytes and floats. Refuses
//! to know how many lanes there are.

use super::lanes::Lanes;
use crate::cpu::packed::Form;
use crate::dtype::Dtype;

/// A packed type. Quants are unsigned bytes of at most 6 bits that mean themselves less
/// `1 << CENTRE` (if that is not zero), or signed bytes that mean themselves.
///
/// # Safety
/// Of all methods: as for [`Lanes`]. `at` points to a block's quants, `sides` to a strip's sides,
/// both already moved on to the first row of the register (by 4 bytes a row; `row` of `sides`).
pub(super) trait Format {
    const DTYPE: Dtype;
    const FORM: Form = Form::of(Self::DTYPE);
    const SIGNED: bool = false;
    const CENTRE: u32 = 0;
    /// Whether there is a minimum to add.
    const MINIMA: bool = !matches!(Self::SIDES, Sides::Scale);
    /// Whether each half of a block has a scale of its own.
    const HALVED: bool = false;

    /// Whether quants have a fifth bit.
    const FIFTH: bool = false;
    const SIDES: Sides = Sides::Scale;

    /// Columns `4 * g + c`, for each g.
    #[inline(always)]
    unsafe fn quants<L: Lanes>(at: *const u8) -> [L::Bytes; 8] {
        // SAFETY: the caller's promise.
        unsafe {
            if Self::FIFTH {
                five_bits::<L>(at)
            } else {
                nibbles::<L>(at)
            }
        }
    }

    /// What the whole numbers of block `block` (of its half `_half`) are multiplied by.
    #[inline(always)]
    unsafe fn scale<L: Lanes>(
        sides: *const u8,
        row: usize,
        block: usize,
        _half: usize,
    ) -> L::Floats {
        // SAFETY: the caller's promise.
        unsafe {
            match Self::SIDES {
                Sides::Scale => half::<L>(sides.add(block * 32), row),
                Sides::ScaleAndMinimum => half::<L>(sides.add(block * 64), row),
                Sides::Shared => shared::<L>(sides, row, block, 0),
            }
        }
    }

    /// What is added for each unit of activation; the factor of moments.
    #[inline(always)]
    unsafe fn minimum<L: Lanes>(sides: *const u8, row: usize, block: usize) -> L::Floats {
        // SAFETY: the caller's promise.
        unsafe {
            match Self::SIDES {
                Sides::Scale => L::splat(0.0),
                Sides::ScaleAndMinimum => half::<L>(sides.add(block * 64 + 32), row),
                Sides::Shared => negative::<L>(shared::<L>(sides, row, block, 1)),
            }
        }
    }
}

/// What a side holds; see `packed.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sides {
    /// A half for each block.
    Scale,
    /// Two halves for each block.
    ScaleAndMinimum,
    /// Two halves for eight blocks, and two bytes for each.
    Shared,
}

/// Bytes of a group of quants.
const GROUP: usize = 64;

/// The 4 bits of four groups, as eight.
#[inline(always)]
unsafe fn nibbles<L: Lanes>(at: *const u8) -> [L::Bytes; 8] {
    // SAFETY: the caller's promise.
    unsafe {
        let a = L::bytes(at);
        let b = L::bytes(at.add(GROUP));
        let c = L::bytes(at.add(2 * GROUP));
        let d = L::bytes(at.add(3 * GROUP));
        [
            L::low(a),
            L::low(b),
            L::low(c),
            L::low(d),
            L::high(a),
            L::high(b),
            L::high(c),
            L::high(d),
        ]
    }
}

/// The same with the fifth bits of the group that follows.
#[inline(always)]
unsafe fn five_bits<L: Lanes>(at: *const u8) -> [L::Bytes; 8] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut quants = nibbles::<L>(at);
        let fifth = L::bytes(at.add(4 * GROUP));
        for (g, quants) in quants.iter_mut().enumerate() {
            *quants = L::with::<0x10>(*quants, fifth, 4 - g as i32);
        }
        quants
    }
}

/// A half for each block.
#[inline(always)]
unsafe fn half<L: Lanes>(side: *const u8, row: usize) -> L::Floats {
    // SAFETY: the caller's promise.
    unsafe { L::halves(side.add(2 * row)) }
}

/// A byte of a block of Q4_K or Q5_K times one of its two halves.
#[inline(always)]
unsafe fn shared<L: Lanes>(sides: *const u8, row: usize, block: usize, which: usize) -> L::Floats {
    // SAFETY: the caller's promise.
    unsafe {
        let side = sides.add(block / 8 * 320);
        let all = half::<L>(side.add(which * 32), row);
        let own = L::unsigned(side.add(64 + block % 8 * 32 + which * 16 + row));
        L::mul(own, all)
    }
}

/// `-x`.
#[inline(always)]
unsafe fn negative<L: Lanes>(x: L::Floats) -> L::Floats {
    // SAFETY: the caller's promise.
    unsafe { L::mul(x, L::splat(-1.0)) }
}

pub(super) struct Q4_0;

impl Format for Q4_0 {
    const DTYPE: Dtype = Dtype::Q4_0;
    const CENTRE: u32 = 3;
}

pub(super) struct Q4_1;

impl Format for Q4_1 {
    const DTYPE: Dtype = Dtype::Q4_1;
    const SIDES: Sides = Sides::ScaleAndMinimum;
}

pub(super) struct Q5_0;

impl Format for Q5_0 {
    const DTYPE: Dtype = Dtype::Q5_0;
    const CENTRE: u32 = 4;
    const FIFTH: bool = true;
}

pub(super) struct Q5_1;

impl Format for Q5_1 {
    const DTYPE: Dtype = Dtype::Q5_1;
    const FIFTH: bool = true;
    const SIDES: Sides = Sides::ScaleAndMinimum;
}

pub(super) struct Q4K;

impl Format for Q4K {
    const DTYPE: Dtype = Dtype::Q4K;
    const SIDES: Sides = Sides::Shared;
}

pub(super) struct Q5K;

impl Format for Q5K {
    const DTYPE: Dtype = Dtype::Q5K;
    const FIFTH: bool = true;
    const SIDES: Sides = Sides::Shared;
}

pub(super) struct Q6K;

impl Format for Q6K {
    const DTYPE: Dtype = Dtype::Q6K;
    const CENTRE: u32 = 5;
    const HALVED: bool = true;

    #[inline(always)]
    unsafe fn quants<L: Lanes>(at: *const u8) -> [L::Bytes; 8] {
        // SAFETY: the caller's promise.
        unsafe {
            let mut quants = nibbles::<L>(at);
            let more = [L::bytes(at.add(4 * GROUP)), L::bytes(at.add(5 * GROUP))];
            for (g, quants) in quants.iter_mut().enumerate() {
                *quants = L::with::<0x30>(*quants, more[g / 4], 4 - 2 * (g as i32 % 4));
            }
            quants
        }
    }

    #[inline(always)]
    unsafe fn scale<L: Lanes>(at: *const u8, row: usize, block: usize, h: usize) -> L::Floats {
        // SAFETY: the caller's promise.
        unsafe {
            let side = at.add(block / 8 * 288);
            let own = L::signed(side.add(32 + (block % 8 * 2 + h) * 16 + row));
            L::mul(own, half::<L>(side, row))
        }
    }
}

pub(super) struct Q8_0;

impl Format for Q8_0 {
    const DTYPE: Dtype = Dtype::Q8_0;
    const SIGNED: bool = true;

    #[inline(always)]
    unsafe fn quants<L: Lanes>(at: *const u8) -> [L::Bytes; 8] {
        // SAFETY: the caller's promise.
        unsafe {
            let mut quants = [L::bytes(at); 8];
            for (g, quants) in quants.iter_mut().enumerate() {
                *quants = L::bytes(at.add(g * GROUP));
            }
            quants
        }
    }
}
