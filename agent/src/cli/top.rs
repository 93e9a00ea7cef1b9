//! `skep top`: nodes, devices, models and requests, live in the terminal.
//!
//! Decides when it is drawn and what a key does. What stands where is [`draw`]'s, what the rows say
//! is [`rows`]'s. One thread asks the agent, so that one that hangs does not freeze the picture; and
//! it looks for the agent anew each time, since one that was started again has another address and
//! another key.

mod cells;
mod draw;
mod rows;
mod state;

use std::io::{self, IsTerminal as _};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use self::state::State;
use super::arguments::Top;
use super::terminal::say;
use super::{Failure, print_json};
use crate::client::Client;
use crate::wire;

type Connect = Box<dyn Fn() -> Result<Client, Failure> + Send>;

pub(super) fn top(connect: Connect, wish: &Top) -> Result<(), Failure> {
    if wish.json || wish.once {
        let top = ask(&connect()?)?;
        if wish.json {
            return print_json(&top);
        }
        // Elsewhere crossterm would ask `tput`, which knows of no pipe.
        let size = match io::stdout().is_terminal() {
            true => ratatui::crossterm::terminal::size().ok(),
            false => None,
        };
        let width = size.map_or(ONCE_COLUMNS, |(columns, _)| columns);
        return Ok(say(draw::text(&State::of(top, Instant::now()), width))?);
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(
            Failure::usage("`skep top` draws on a terminal, and there is none here")
                .with_hint(Some("skep top --once   or   skep ps --json")),
        );
    }
    // The first answer decides whether there is anything to show at all.
    let first = ask(&connect()?)?;
    live(State::of(first, Instant::now()), connect)
}

fn ask(client: &Client) -> Result<wire::Top, Failure> {
    Ok(client.get("/api/v1/top")?)
}

fn live(mut state: State, connect: Connect) -> Result<(), Failure> {
    let answers = follow(connect)?;
    let mut screen = Screen::open()?;
    let mut drawn_at = None;
    loop {
        let now = Instant::now();
        while let Ok(answer) = answers.try_recv() {
            state.take(answer, Instant::now());
            drawn_at = None;
        }
        // At least each second, since what is shown ages.
        if drawn_at.is_none_or(|at| now.saturating_duration_since(at) >= REFRESH) {
            screen
                .0
                .draw(|frame| draw::draw(frame, &mut state, Instant::now()))?;
            drawn_at = Some(now);
        }
        if event::poll(KEY_WAIT)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    if quits(key) {
                        return Ok(());
                    }
                    press(&mut state, key.code);
                }
                _ => {}
            }
            drawn_at = None;
        }
    }
}

fn quits(key: KeyEvent) -> bool {
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => true,
        KeyCode::Char('c' | 'd') => key.modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    }
}

fn press(state: &mut State, key: KeyCode) {
    match key {
        KeyCode::Tab => state.next_section(1),
        KeyCode::BackTab => state.next_section(-1),
        KeyCode::Down | KeyCode::Char('j') => state.select(1),
        KeyCode::Up | KeyCode::Char('k') => state.select(-1),
        KeyCode::PageDown => state.select(10),
        KeyCode::PageUp => state.select(-10),
        KeyCode::Right => state.sort(1),
        KeyCode::Left => state.sort(-1),
        _ => {}
    }
}

/// Asks once a second for as long as somebody listens.
fn follow(connect: Connect) -> io::Result<Receiver<Result<wire::Top, String>>> {
    let (sender, answers): (SyncSender<_>, _) = mpsc::sync_channel(1);
    let (_never, pause) = mpsc::channel::<()>();
    std::thread::Builder::new()
        .name("ask".to_owned())
        .spawn(move || {
            let _never = _never;
            let mut client = connect().ok();
            loop {
                let pause = pause.recv_timeout(REFRESH);
                debug_assert_eq!(pause, Err(RecvTimeoutError::Timeout));
                let answer = match &client {
                    Some(client) => client.get("/api/v1/top").map_err(|e| e.to_string()),
                    None => Err("no agent was found".to_owned()),
                };
                if answer.is_err() {
                    client = connect().ok();
                }
                if sender.send(answer).is_err() {
                    return;
                }
            }
        })?;
    Ok(answers)
}

/// The terminal while it is ours. Given back however this ends; a panic gives it back first.
struct Screen(ratatui::DefaultTerminal);

impl Screen {
    fn open() -> io::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                let _ = ratatui::try_restore();
                Err(error)
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.0.show_cursor();
        let _ = ratatui::try_restore();
    }
}

/// As often as the agent looks at the machine.
const REFRESH: Duration = Duration::from_secs(1);

/// A key is answered at once; an answer of the agent within this.
const KEY_WAIT: Duration = Duration::from_millis(100);

/// How wide a picture is that goes to no terminal: no column is left out, and a verdict has room.
const ONCE_COLUMNS: u16 = 200;
