//! Rows of a table, picked by token or by position.

use super::blocks;
use crate::matrix::MatrixMut;
use crate::op::Index;
use crate::plan::Facts;
use crate::weight::Weight;

pub(super) fn embed(table: &Weight, index: Index, facts: &Facts<'_>, out: &mut MatrixMut<'_>) {
    let picks = match index {
        Index::Tokens => facts.batch.tokens,
        Index::Positions => facts.positions,
    };
    for (row, pick) in picks.iter().enumerate() {
        blocks::read_row(table.dtype(), table.row(*pick as usize), out.row(row));
    }
}
