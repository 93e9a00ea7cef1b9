//! The picture of `skep top`: how much room each table gets, and where.
//!
//! Decides that every table shows its heads and something of its rows in any terminal, and that
//! what the user looks at gets room before the rest. Refuses to know what the rows mean.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ratatui::Frame;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Text, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState, Wrap};

use super::rows::{self, Line, Sheet};
use super::state::{Section, State};
use crate::cli::figures;
use crate::cli::table::Hue;
use crate::cli::terminal::printable;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State, now: Instant) {
    let area = frame.area();
    if area.width < 20 || area.height < 8 {
        frame.render_widget(Paragraph::new("too small; q quits"), area);
        return;
    }
    let away = state.silent_for(now);
    let unix_s = unix_now_s();
    let sheets = Section::ALL.map(|section| {
        let mut sheet = rows::sheet(section, &state.top, unix_s);
        if let Some(column) = state.places.get(section.number()).and_then(|p| p.sort) {
            sheet.sort(column);
        }
        sheet
    });
    for (place, sheet) in state.places.iter_mut().zip(&sheets) {
        place.rows = sheet.rows.len();
        place.columns = sheet.heads.len();
        place.row = place.row.min(place.rows.saturating_sub(1));
    }
    let chosen = sheets
        .get(state.section.number())
        .zip(state.places.get(state.section.number()))
        .and_then(|(sheet, place)| sheet.rows.get(place.row)?.detail.clone());

    let mut rest = Cut(area);
    title(
        frame,
        rest.top(1),
        state,
        away.map(|silent| silent.as_secs()),
    );
    let foot = rest.bottom(if area.height >= 20 { 2 } else { 1 });
    let wanted = [0, 1, 2, 3].map(|at| sheets.get(at).map_or(0, |s: &Sheet| s.rows.len().max(1)));
    // The heads of four tables, and the line of figures above the requests.
    let room = usize::from(rest.0.height).saturating_sub(5);
    let given = share_out(room, wanted, state.section.number());
    let spare = room.saturating_sub(given.iter().sum());
    for ((section, sheet), rows) in Section::ALL.into_iter().zip(&sheets).zip(given) {
        if section == Section::Requests {
            figures_line(frame, rest.top(1), state);
        }
        let height = u16::try_from(rows + 1).unwrap_or(u16::MAX);
        let place = rest.top(height);
        table(frame, place, sheet, section, state, away.is_some());
        if spare >= 3 && section != Section::Requests {
            rest.top(1);
        }
    }
    footer(frame, foot, chosen);
}

/// The same as lines of text, as high as it needs to be.
pub(super) fn text(state: &State, width: u16) -> String {
    let rows: usize = Section::ALL
        .iter()
        .map(|section| rows::sheet(*section, &state.top, 0).rows.len().max(1))
        .sum();
    let height = u16::try_from(rows + 5 + 3 + 4).unwrap_or(u16::MAX).max(20);
    let mut state = State::of(state.top.clone(), Instant::now());
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width.max(60), height));
    let Ok(_) = terminal.draw(|frame| draw(frame, &mut state, Instant::now()));
    let buffer = terminal.backend().buffer();
    let lines = buffer.content.chunks(usize::from(buffer.area.width));
    let lines = lines.map(|cells| {
        let line: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned()
    });
    let mut lines: Vec<String> = lines.collect();
    // The last lines are for keys, which a picture has none of.
    lines.truncate(lines.len().saturating_sub(2));
    lines.join("\n").trim_end().to_owned()
}

fn title(frame: &mut Frame<'_>, area: Rect, state: &State, silent_s: Option<u64>) {
    let nodes = state.top.nodes.len();
    let plural = if nodes == 1 { "" } else { "s" };
    let bad: usize = state
        .top
        .nodes
        .iter()
        .flat_map(|node| &node.devices)
        .filter(|device| device.health != "healthy")
        .count();
    let mut spans = vec![
        Span::styled("skep top", style(Hue::Strong)),
        Span::raw(format!("  {nodes} node{plural}")),
    ];
    match bad {
        0 => {}
        1 => spans.push(Span::styled("  1 device is not well", style(Hue::Doubtful))),
        bad => spans.push(Span::styled(
            format!("  {bad} devices are not well"),
            style(Hue::Doubtful),
        )),
    }
    if let Some(silent_s) = silent_s {
        spans.push(Span::styled(
            format!("  the agent has not answered for {silent_s} s; trying again"),
            style(Hue::Bad),
        ));
    }
    frame.render_widget(Paragraph::new(Text::from(spans)), area);
    let clock = figures::moment(state.top.at_unix_ms);
    let clock = clock.get(11..19).unwrap_or_default().to_owned();
    let width = u16::try_from(clock.len() + 1).unwrap_or(0).min(area.width);
    let right = Rect {
        x: area.x + area.width - width,
        width,
        ..area
    };
    let clock = Paragraph::new(clock).alignment(Alignment::Right);
    frame.render_widget(clock.style(style(Hue::Faint)), right);
}

fn figures_line(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let requests = &state.top.requests;
    let mut text = match state.rates {
        Some(rates) => format!(
            "{:.1} requests/s · {:.0} tokens/s · ",
            rates.requests, rates.tokens
        ),
        None => String::new(),
    };
    text += &format!(
        "{} running · {} waiting · {} answered · {} failed · {} cut · {} refused",
        requests.running,
        requests.waiting,
        requests.answered,
        requests.failed,
        requests.cut,
        requests.refused
    );
    frame.render_widget(Paragraph::new(text), area);
}

fn table(
    frame: &mut Frame<'_>,
    area: Rect,
    sheet: &Sheet,
    section: Section,
    state: &State,
    faded: bool,
) {
    let shown: Vec<usize> = (0..sheet.heads.len())
        .filter(|at| {
            let head = sheet.heads.get(*at);
            head.is_some_and(|head| area.width >= head.from_columns)
        })
        .collect();
    let place = state
        .places
        .get(section.number())
        .copied()
        .unwrap_or_default();
    let focused = state.section == section;
    let head = shown.iter().filter_map(|at| {
        let head = sheet.heads.get(*at)?;
        let mark = if place.sort == Some(*at) { "▾" } else { "" };
        Some(aligned(format!("{}{mark}", head.text), head.right))
    });
    let head_style = if focused {
        Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
    } else {
        style(Hue::Faint).add_modifier(Modifier::UNDERLINED)
    };
    let row = |line: &Line| {
        let cells = shown.iter().filter_map(|at| {
            let (cell, head) = (line.cells.get(*at)?, sheet.heads.get(*at)?);
            let hue = if faded { Hue::Faint } else { cell.hue };
            Some(aligned(cell.text.clone(), head.right).style(style(hue)))
        });
        Row::new(cells.collect::<Vec<_>>())
    };
    let widths = shown.iter().filter_map(|at| {
        let head = sheet.heads.get(*at)?;
        Some(match head.width {
            0 => Constraint::Fill(1),
            width => Constraint::Length(width),
        })
    });
    let table = Table::new(sheet.rows.iter().map(row), widths.collect::<Vec<_>>())
        .header(Row::new(head.collect::<Vec<_>>()).style(head_style))
        .column_spacing(1)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut at = TableState::default();
    if focused && !sheet.rows.is_empty() {
        at.select(Some(place.row));
    }
    frame.render_stateful_widget(table, area, &mut at);
    if sheet.rows.is_empty() && area.height > 1 {
        let below = Rect {
            y: area.y + 1,
            height: 1,
            ..area
        };
        frame.render_widget(Paragraph::new(sheet.empty).style(style(Hue::Faint)), below);
    }
}

fn footer(frame: &mut Frame<'_>, area: Rect, chosen: Option<String>) {
    let (text, style) = match chosen {
        Some(detail) => (
            printable(&detail).replace(['\n', '\t'], " "),
            style(Hue::Plain),
        ),
        None => (KEYS.to_owned(), style(Hue::Faint)),
    };
    let text = Paragraph::new(text).wrap(Wrap { trim: true });
    frame.render_widget(text.style(style), area);
}

fn aligned(text: String, right: bool) -> Cell<'static> {
    let line = Text::from(text);
    Cell::from(if right { line.right_aligned() } else { line })
}

/// Gives each table rows while there is room: one each, then the chosen one what it wants, then the
/// rest in turns.
fn share_out(mut room: usize, wanted: [usize; 4], chosen: usize) -> [usize; 4] {
    let mut given = [0_usize; 4];
    let mut give = |given: &mut usize, wanted: usize| {
        let fits = *given < wanted && room > 0;
        *given += usize::from(fits);
        room -= usize::from(fits);
        fits
    };
    for (given, wanted) in given.iter_mut().zip(wanted) {
        give(given, wanted);
    }
    if let (Some(given), Some(wanted)) = (given.get_mut(chosen), wanted.get(chosen)) {
        // Not all of it: the others are why there is more than one table.
        while *given < (*wanted).min(6) && give(given, *wanted) {}
    }
    loop {
        let mut gave = false;
        for (given, wanted) in given.iter_mut().zip(wanted) {
            gave |= give(given, wanted);
        }
        if !gave {
            return given;
        }
    }
}

/// What is left of the screen.
struct Cut(Rect);

impl Cut {
    fn top(&mut self, height: u16) -> Rect {
        let height = height.min(self.0.height);
        let top = Rect { height, ..self.0 };
        self.0.y += height;
        self.0.height -= height;
        top
    }

    fn bottom(&mut self, height: u16) -> Rect {
        let height = height.min(self.0.height);
        self.0.height -= height;
        Rect {
            y: self.0.y + self.0.height,
            height,
            ..self.0
        }
    }
}

fn style(hue: Hue) -> Style {
    let colour = |colour| {
        if std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty()) {
            Style::new()
        } else {
            Style::new().fg(colour)
        }
    };
    match hue {
        Hue::Plain => Style::new(),
        Hue::Strong => Style::new().add_modifier(Modifier::BOLD),
        Hue::Faint => Style::new().add_modifier(Modifier::DIM),
        Hue::Good => colour(Color::Green),
        Hue::Doubtful => colour(Color::Yellow),
        Hue::Bad => colour(Color::Red).add_modifier(Modifier::BOLD),
    }
}

fn unix_now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

const KEYS: &str = "q quits · tab next table · ↑↓ choose, and read why · ←→ sort";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_goes_to_every_table_and_first_to_the_chosen() {
        assert_eq!(share_out(4, [1, 5, 2, 64], 1), [1, 1, 1, 1]);
        assert_eq!(share_out(10, [1, 5, 2, 64], 1), [1, 5, 2, 2]);
        assert_eq!(share_out(50, [1, 5, 2, 64], 3), [1, 5, 2, 42]);
        assert_eq!(share_out(2, [1, 5, 2, 64], 3), [1, 1, 0, 0]);
        assert_eq!(share_out(50, [1, 1, 1, 1], 0), [1, 1, 1, 1]);
    }
}
