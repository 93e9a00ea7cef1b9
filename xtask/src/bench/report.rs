//! Tables of figures, as Markdown for people and as JSON for programs. It decides no figure.

use serde_json::{Map, Value, json};

/// Everything that one call of `cargo xtask bench` measures.
pub(crate) struct Report {
    facts: Vec<(&'static str, String)>,
    tables: Vec<Table>,
}

/// One table with what made it.
pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) command: &'static str,
    /// What a reader must know to read it; may be empty.
    pub(super) note: String,
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// One cell.
pub(super) enum Cell {
    Text(String),
    Number(f64, usize),
    /// Repeated measurements with the decimals to show.
    Samples(Samples, usize),
    Nothing,
}

/// Repeated measurements of one thing; the median stands for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(Vec<f64>);

impl Report {
    pub(super) fn new(facts: Vec<(&'static str, String)>) -> Self {
        Self {
            facts,
            tables: Vec::new(),
        }
    }

    /// The machine and the day.
    pub(super) fn heading(&self) -> String {
        let mut text = String::from("| | |\n|---|---|\n");
        for (name, value) in &self.facts {
            text += &format!("| {name} | {value} |\n");
        }
        text
    }

    /// Prints a table and keeps it.
    pub(super) fn add(&mut self, table: Table) {
        println!("{}", table.markdown());
        self.tables.push(table);
    }

    pub(super) fn json(&self) -> String {
        let facts: Map<String, Value> = self
            .facts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let tables: Vec<Value> = self.tables.iter().map(Table::json).collect();
        format!("{:#}\n", json!({ "machine": facts, "tables": tables }))
    }
}

impl Table {
    fn markdown(&self) -> String {
        let mut text = format!("\n## {}\n\n`{}`\n\n", self.title, self.command);
        if !self.note.is_empty() {
            text += &format!("{}\n\n", self.note);
        }
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(Cell::shown).collect())
            .collect();
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let cells = rows.iter().filter_map(|row| row.get(at));
                let longest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
                longest.max(column.chars().count())
            })
            .collect();
        let columns = self.columns.iter().map(|column| (*column).to_owned());
        text += &line(columns, &widths);
        let rule = widths.iter().enumerate().map(|(at, width)| match at {
            0 => "-".repeat(*width),
            _ => format!("{}:", "-".repeat(width.saturating_sub(1))),
        });
        text += &line(rule, &widths);
        for row in rows {
            text += &line(row.into_iter(), &widths);
        }
        text
    }

    fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let cells = self.columns.iter().zip(row);
                cells
                    .map(|(column, cell)| ((*column).to_owned(), cell.json()))
                    .collect::<Map<_, _>>()
                    .into()
            })
            .collect();
        json!({ "title": self.title, "command": self.command, "note": self.note, "rows": rows })
    }
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number, decimals) => grouped(*number, *decimals),
            Self::Samples(samples, decimals) => match samples.span() {
                None => "–".into(),
                Some((least, median, most)) if samples.0.len() > 1 => format!(
                    "{} ({}–{})",
                    grouped(median, *decimals),
                    grouped(least, *decimals),
                    grouped(most, *decimals)
                ),
                Some((_, median, _)) => grouped(median, *decimals),
            },
            Self::Nothing => "–".into(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number, _) => json!(number),
            Self::Samples(samples, _) => match samples.span() {
                None => Value::Null,
                Some((least, median, most)) => json!({
                    "median": median, "min": least, "max": most, "count": samples.0.len(),
                }),
            },
            Self::Nothing => Value::Null,
        }
    }
}

impl Samples {
    pub(super) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Each in another unit.
    pub(super) fn scaled(&self, factor: f64) -> Self {
        self.0.iter().map(|value| value * factor).collect()
    }

    pub(super) fn median(&self) -> Option<f64> {
        self.span().map(|(_, median, _)| median)
    }

    /// Least, median (of two middle ones the mean) and largest.
    fn span(&self) -> Option<(f64, f64, f64)> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let lower = match sorted.len() % 2 {
            0 => *sorted.get(middle - 1)?,
            _ => upper,
        };
        Some((
            *sorted.first()?,
            f64::midpoint(lower, upper),
            *sorted.last()?,
        ))
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

fn line(cells: impl Iterator<Item = String>, widths: &[usize]) -> String {
    let mut text = String::from("|");
    for (at, (cell, width)) in cells.zip(widths).enumerate() {
        let blank = " ".repeat(width.saturating_sub(cell.chars().count()));
        text += &match at {
            0 => format!(" {cell}{blank} |"),
            _ => format!(" {blank}{cell} |"),
        };
    }
    text + "\n"
}

/// A number with its thousands apart.
fn grouped(number: f64, decimals: usize) -> String {
    let plain = format!("{number:.decimals$}");
    let (whole, part) = match plain.split_once('.') {
        Some((whole, part)) => (whole, Some(part)),
        None => (plain.as_str(), None),
    };
    let digits = whole.trim_start_matches('-');
    let mut text = String::from(if whole.starts_with('-') { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(part) = part {
        text = format!("{text}.{part}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(1_234_567.891, 1), "1,234,567.9");
        assert_eq!(grouped(-1_000.0, 0), "-1,000");
        assert_eq!(grouped(999.4, 0), "999");
        assert_eq!(grouped(0.25, 2), "0.25");
    }

    #[test]
    fn the_median_stands_for_the_samples() {
        let of = |values: &[f64]| values.iter().copied().collect::<Samples>().median();
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn tables_are_markdown() {
        let table = Table {
            title: "T",
            command: "c",
            note: String::new(),
            columns: vec!["what", "ms"],
            rows: vec![vec![
                Cell::text("a"),
                Cell::Samples([1.0, 2.0, 4.0].into_iter().collect(), 1),
            ]],
        };
        assert!(table.markdown().contains("| a    | 2.0 (1.0–4.0) |"));
        assert_eq!(table.json()["rows"][0]["ms"]["median"], 2.0);
    }
}
