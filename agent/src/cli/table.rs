//! Tables of text: columns as wide as they need to be.
//!
//! Decides alignment; refuses to know what the cells mean.

use super::terminal::{Paint, printable};

/// A table to be printed.
#[derive(Debug)]
pub(super) struct Table {
    heads: Vec<&'static str>,
    right: Vec<bool>,
    rows: Vec<Vec<Cell>>,
}

/// A cell: what is shown, and its colour.
#[derive(Debug)]
pub(super) struct Cell {
    text: String,
    hue: Hue,
}

/// What a cell's colour says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hue {
    Plain,
    Strong,
    Faint,
    Good,
    Doubtful,
    Bad,
}

impl Table {
    /// Heads of columns; those that begin with `>` stand to the right.
    pub(super) fn new<const N: usize>(heads: [&'static str; N]) -> Self {
        Self {
            right: heads.iter().map(|head| head.starts_with('>')).collect(),
            heads: heads
                .iter()
                .map(|head| head.trim_start_matches('>'))
                .collect(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines of the table.
    pub(super) fn render(&self, paint: Paint) -> String {
        let widths: Vec<usize> = self
            .heads
            .iter()
            .enumerate()
            .map(|(at, head)| {
                let cells = self.rows.iter().filter_map(|row| row.get(at));
                cells
                    .map(|cell| width(&cell.text))
                    .chain([width(head)])
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let heads: Vec<Cell> = self
            .heads
            .iter()
            .map(|head| Cell::new(*head, Hue::Faint))
            .collect();
        let mut lines = vec![self.line(&heads, &widths, paint)];
        lines.extend(self.rows.iter().map(|row| self.line(row, &widths, paint)));
        lines.join("\n")
    }

    fn line(&self, cells: &[Cell], widths: &[usize], paint: Paint) -> String {
        let mut line = String::new();
        for ((cell, width_wanted), right) in cells.iter().zip(widths).zip(&self.right) {
            let gap = " ".repeat(width_wanted.saturating_sub(width(&cell.text)));
            let text = cell.hue.paint(&cell.text, paint);
            line.push_str(&if *right {
                format!("{gap}{text}")
            } else {
                format!("{text}{gap}")
            });
            line.push_str("   ");
        }
        line.trim_end().to_owned()
    }
}

impl Cell {
    pub(super) fn new(text: impl Into<String>, hue: Hue) -> Self {
        let text = printable(&text.into()).replace(['\n', '\t'], " ");
        Self { text, hue }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Hue::Plain)
    }
}

impl Hue {
    pub(super) fn paint(self, text: &str, paint: Paint) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Strong => paint.bold(text),
            Self::Faint => paint.dim(text),
            Self::Good => paint.green(text),
            Self::Doubtful => paint.yellow(text),
            Self::Bad => paint.red(text),
        }
    }

    /// For the state of a replica.
    pub(super) fn of_state(state: &str) -> Self {
        match state {
            "ready" => Self::Good,
            "failed" => Self::Bad,
            _ => Self::Doubtful,
        }
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let mut table = Table::new(["NAME", ">SIZE", "FROM"]);
        table.row(["tiny".into(), "4.5 MB".into(), "embedded".into()]);
        table.row(["a-longer-name".into(), "12 kB".into(), "\x1b[31mx\n".into()]);
        let expect = "\
NAME              SIZE   FROM
tiny            4.5 MB   embedded
a-longer-name    12 kB   �[31mx";
        assert_eq!(table.render(Paint::none()), expect);
    }
}
