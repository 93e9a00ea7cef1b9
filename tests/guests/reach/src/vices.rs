//! What goes wrong, by name.
#![allow(
    clippy::panic,
    clippy::infinite_loop,
    reason = "it goes wrong on purpose"
)]

use skep_sdk::upstream::Error;
use skep_sdk::upstream::bindings::wasi::clocks::monotonic_clock;
use skep_sdk::upstream::bindings::wasi::http::types::Fields;
use skep_sdk::upstream::bindings::wasi::io::poll;
use skep_sdk::upstream::log::{Level, write};

use crate::net;

mod random {
    #![allow(
        missing_docs,
        unreachable_pub,
        unused_qualifications,
        unsafe_code,
        clippy::all,
        clippy::undocumented_unsafe_blocks,
        reason = "generated from wit/"
    )]
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "package test:reach; world more { import wasi:random/random@0.2.12; }",
        world: "test:reach/more",
        generate_all,
    });
}

/// Does it. Most of them never return.
pub(crate) fn indulge(vice: &str, rest: &str) -> Result<String, Error> {
    let number: u64 = rest
        .split(' ')
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or_default();
    match vice {
        "spin" => loop {
            std::hint::spin_loop();
        },
        "spin-host" => loop {
            monotonic_clock::now();
        },
        "recurse" => Ok(recurse(1).to_string()),
        "panic" => panic!("{rest}"),
        "grow" => {
            let mut held = Vec::new();
            loop {
                held.push(vec![1_u8; 1 << 20]);
                std::hint::black_box(&held);
            }
        }
        "touch" => {
            let held = vec![1_u8; usize::try_from(number).unwrap_or_default()];
            Ok(std::hint::black_box(&held).len().to_string())
        }
        "handles" => {
            let held: Vec<Fields> = (0..number).map(|_| Fields::new()).collect();
            Ok(held.len().to_string())
        }
        "fields" => {
            let fields = Fields::new();
            for count in 0..number {
                if let Err(error) = fields.append(&format!("x-{count}"), &[b'x'; 100]) {
                    return Ok(format!("{count} {error:?}"));
                }
            }
            Ok("all".to_owned())
        }
        "pollables" => {
            let held: Vec<poll::Pollable> = (0..number)
                .map(|_| monotonic_clock::subscribe_duration(u64::MAX))
                .collect();
            Ok(held.len().to_string())
        }
        "poll" => {
            let one = monotonic_clock::subscribe_duration(0);
            let many = vec![&one; usize::try_from(number).unwrap_or_default()];
            Ok(poll::poll(&many).len().to_string())
        }
        "sleep" => {
            monotonic_clock::subscribe_duration(number).block();
            Ok("awake".to_owned())
        }
        "random" => Ok(random::wasi::random::random::get_random_bytes(number)
            .len()
            .to_string()),
        "log" => {
            for count in 0..number {
                write(Level::Info, &format!("line {count}"));
            }
            Ok("logged".to_owned())
        }
        "log-long" => {
            write(
                Level::Info,
                &"x".repeat(usize::try_from(number).unwrap_or_default()),
            );
            Ok("logged".to_owned())
        }
        "forge" => {
            write(Level::Info, "one\nERROR two\u{1b}[2J\u{202e}three");
            Ok("logged".to_owned())
        }
        "print" => {
            for count in 0..number {
                println!("printed {count}");
            }
            Ok("printed".to_owned())
        }
        "world" => Ok(format!(
            "env {} args {} dir {} stdin {}",
            std::env::vars().count(),
            std::env::args().count(),
            std::fs::read_dir("/").is_ok(),
            std::io::stdin().lines().count(),
        )),
        "many" => {
            let url = rest.split(' ').nth(1).unwrap_or_default();
            let mut last = String::new();
            for _ in 0..number {
                last = match net::send("GET", url, &[], None) {
                    Ok(response) => response.status().to_string(),
                    Err(error) => return Ok(error),
                };
            }
            Ok(last)
        }
        "at-once" => {
            let url = rest.split(' ').nth(1).unwrap_or_default();
            let held: Vec<_> = (0..number)
                .map(|_| net::send("GET", url, &[], None))
                .collect();
            let errors: Vec<_> = held.into_iter().filter_map(Result::err).collect();
            Ok(format!("{} {:?}", errors.len(), errors.last()))
        }
        _ => Err(Error::Unsupported(format!("there is no command `{vice}`"))),
    }
}

fn recurse(depth: u64) -> u64 {
    let block = std::hint::black_box([depth; 64]);
    if depth == u64::MAX {
        return 0;
    }
    recurse(depth + 1) + block.iter().sum::<u64>()
}
