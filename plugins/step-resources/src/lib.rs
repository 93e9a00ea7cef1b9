//! The step for what models may take: threads, memory, cards and their power.
//!
//! Decides between which bounds each may be set, by what the machine has. Every answer is one of the agent's settings, or a card's limit.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use skep_sdk::installer::{
    Command, Description, Facts, Finding, Form, Gpu, Installer, Plan, SetPower, Vendor, toml,
};

/// The step.
#[derive(Debug)]
pub struct Resources;

/// What models may take.
#[derive(Debug)]
pub struct Wish {
    device: String,
    /// None: all.
    threads: Option<i64>,
    /// None: what fits.
    cache_bytes: Option<i64>,
    context_tokens: Option<i64>,
    loaded_max: i64,
    idle_minutes: i64,
    power: Vec<SetPower>,
}

impl Installer for Resources {
    type Wish = Wish;

    fn describe() -> Description {
        Description::new(
            "Resources",
            "Decides what models may take: threads, memory, cards and their power.",
        )
    }

    fn ask(facts: &Facts, form: &mut Form<'_>) -> Wish {
        let cards = cards(facts);
        let device = ask_device(facts, form, &cards);
        let cores = i64::from(facts.system.cores.clamp(1, THREADS_MAX));
        let threads = form
            .number("threads", "Threads", 1, cores)
            .help("How many a model computes with on the processor. Fewer leave some to other programs.")
            .unit("cores")
            .default(number(facts, "node.threads").unwrap_or(cores))
            .get();
        let cache_bytes = ask_cache(facts, form, &cards, &device);
        let context = form
            .number("context", "Context to make room for", 0, 1 << 20)
            .help("How long a conversation may get. 0: as long as the model can, if it fits.")
            .unit("tokens")
            .step(1024)
            .default(number(facts, "models.context_tokens").unwrap_or(0))
            .advanced()
            .get();
        let loaded_max = form
            .number("loaded", "Models loaded at once", 1, 64)
            .help("When one more is asked for, the one that was idle longest makes room.")
            .default(number(facts, "models.loaded_max").unwrap_or(LOADED_MAX))
            .advanced()
            .get();
        let idle = number(facts, "models.idle_unload_s").unwrap_or(0) / 60;
        let idle_minutes = form
            .number("idle", "Unload a model after so many minutes", 0, 24 * 60)
            .help("Without a request. Its memory is free then, and the next request waits for it. 0: never.")
            .default(idle)
            .advanced()
            .get();
        Wish {
            device,
            threads: (threads < cores).then_some(threads),
            cache_bytes,
            context_tokens: (context > 0).then_some(context),
            loaded_max,
            idle_minutes,
            power: ask_power(facts, form),
        }
    }

    fn plan(_: &Facts, wish: Wish, plan: &mut Plan) -> Result<(), String> {
        let device = toml::text(&wish.device);
        plan.set("node.device", device, "Models compute on it.");
        let numbers = [
            (
                "node.threads",
                wish.threads,
                "Some cores are left to other programs.",
                "All cores are used.",
            ),
            (
                "models.cache_bytes",
                wish.cache_bytes,
                "What models remember of conversations takes no more.",
                "What models remember takes what fits.",
            ),
            (
                "models.context_tokens",
                wish.context_tokens,
                "Room is made for conversations of that length.",
                "Each model has the context that it was made for, if it fits.",
            ),
            (
                "models.loaded_max",
                (wish.loaded_max != LOADED_MAX).then_some(wish.loaded_max),
                "No more models take memory at once.",
                "As many models as usual may be loaded at once.",
            ),
            (
                "models.idle_unload_s",
                (wish.idle_minutes > 0).then_some(wish.idle_minutes * 60),
                "Memory is free again when nobody asks for a model.",
                "Models stay loaded.",
            ),
        ];
        for (key, value, set, unset) in numbers {
            match value {
                Some(value) => plan.set(key, toml::number(value), set),
                None => plan.unset(key, unset),
            }
        }
        let has_power = !wish.power.is_empty();
        for limit in wish.power {
            plan.act(
                Command::SetPowerLimit(limit),
                "It runs cooler and quieter, and nearly as fast: answers wait for memory, not for arithmetic.",
            );
        }
        if has_power {
            plan.note("A card forgets its power limit when the machine starts anew.");
        }
        plan.note("Models that are loaded go on as they are until they are loaded again, and the agent until it starts anew.");
        Ok(())
    }

    fn check(facts: &Facts) -> Vec<Finding> {
        let mut found = Vec::new();
        let cards = cards(facts);
        for (name, card) in &cards {
            let evidence = format!("{name}: {}, {} GiB", card.name, card.memory_bytes >> 30);
            found.push(Finding::fine("A card can be computed on.", evidence));
        }
        let on_card = |device: &str| device != "cpu" && !device.is_empty();
        if !cards.is_empty() && !on_card(facts.setting_text("node.device").unwrap_or_default()) {
            let what = "There is a card, and models compute on the processor.";
            let evidence = facts.setting("node.device").map_or_else(
                || "`node.device` is not set, which means `cpu`".into(),
                |value| format!("`node.device` is {value}"),
            );
            found.push(
                Finding::warning(what, evidence)
                    .remedy("choose the card in the step for resources"),
            );
        }
        if cards.len() > 1 {
            let what = "An agent computes on one card: the others wait for another.";
            let names: Vec<_> = cards.iter().map(|(name, _)| name.as_str()).collect();
            let remedy = "run an agent for each card (`skep up --home FOLDER --set node.device=cuda:1 --listen 127.0.0.1:7421`) and join them";
            found.push(Finding::notice(what, names.join(", ")).remedy(remedy));
        }
        if cards.is_empty() {
            let evidence = format!("{} cores, no card with a driver", facts.system.cores);
            found.push(Finding::fine("Models compute on the processor.", evidence));
        }
        found
    }
}

/// Cards that models can compute on, by their names there: as each vendor's own tools count them.
fn cards(facts: &Facts) -> Vec<(String, &Gpu)> {
    let of = |vendor: Vendor, name: &'static str| {
        let cards = facts
            .gpus
            .iter()
            .filter(move |card| card.vendor == vendor && card.driver.is_some());
        cards
            .take(CARDS_MAX)
            .enumerate()
            .map(move |(number, card)| (format!("{name}:{number}"), card))
    };
    of(Vendor::Nvidia, "cuda")
        .chain(of(Vendor::Amd, "hip"))
        .collect()
}

fn ask_device(facts: &Facts, form: &mut Form<'_>, cards: &[(String, &Gpu)]) -> String {
    let mut choice = form
        .choice("device", "Compute on")
        .help("What models run on. A card is many times faster, as far as its memory goes.");
    if cards.is_empty() {
        choice = choice.recommend("cpu", "Processor", "There is no card with a driver.");
    } else {
        choice = choice
            .recommend(
                "auto",
                "The best that works",
                "The first card that works when the agent starts.",
            )
            .option("cpu", "Processor", "Cards are left to others.");
    }
    for (name, card) in cards {
        let help = format!("{} GiB of memory.", card.memory_bytes >> 30);
        choice = choice.option(name.as_str(), format!("{} ({name})", card.name), help);
    }
    let default = if cards.is_empty() { "cpu" } else { "auto" };
    let now = facts.setting_text("node.device").unwrap_or(default);
    choice.default(default).default(now).get()
}

fn ask_cache(
    facts: &Facts,
    form: &mut Form<'_>,
    cards: &[(String, &Gpu)],
    device: &str,
) -> Option<i64> {
    let chosen = cards.iter().find(|(name, _)| name == device);
    let chosen = chosen.or_else(|| cards.first());
    let on_card = chosen.map(|(_, card)| card.memory_bytes);
    let (memory, what) = match on_card.filter(|_| device != "cpu") {
        Some(memory) if memory > 0 => (memory, "the card's memory"),
        _ => (facts.system.memory_bytes, "memory"),
    };
    let memory = i64::try_from(memory).unwrap_or(i64::MAX) / 100;
    let now = number(facts, "models.cache_bytes");
    // Rounded, so that what was set is what is offered.
    let now = now
        .filter(|_| memory > 0)
        .map(|bytes| (bytes + memory / 2) / memory);
    let percent = form
        .number("cache", "Memory for conversations", 0, 80)
        .help(format!("How much of {what} each model may take to remember conversations. 0: what fits beside it."))
        .unit("percent")
        .step(5)
        .default(now.unwrap_or(0))
        .get();
    (percent > 0 && memory > 0).then(|| memory * percent)
}

fn ask_power(facts: &Facts, form: &mut Form<'_>) -> Vec<SetPower> {
    let limits = facts.gpus.iter().filter_map(|card| {
        let (least, most) = (card.power_limit_min_w?, card.power_limit_max_w?);
        let fits = card.vendor == Vendor::Nvidia && (1..=WATTS_MAX).contains(&least);
        (fits && least < most && most <= WATTS_MAX).then_some((card, least, most))
    });
    let limits: Vec<_> = limits.take(CARDS_MAX).collect();
    if limits.is_empty() {
        return Vec::new();
    }
    let wanted = form
        .flag("power", "Limit the power of cards")
        .help("Answers wait for memory more than for arithmetic: a card with four fifths of its power is cooler, and nearly as fast.")
        .get();
    if !wanted {
        return Vec::new();
    }
    let percent = form
        .number("power-percent", "Power", 40, 100)
        .help("Of the most that each card can take.")
        .unit("percent")
        .step(5)
        .default(80)
        .get();
    let percent = u32::try_from(percent).unwrap_or(100);
    let set = limits.into_iter().map(|(card, least, most)| SetPower {
        gpu: card.id.clone(),
        watts: (most * percent / 100).clamp(least, most),
    });
    set.collect()
}

fn number(facts: &Facts, key: &str) -> Option<i64> {
    facts.setting(key)?.replace('_', "").parse().ok()
}

const CARDS_MAX: usize = 16;
/// As `node.threads` takes it.
const THREADS_MAX: u32 = 1_024;
/// What the agent has where nobody says anything.
const LOADED_MAX: i64 = 8;
/// No card takes more.
const WATTS_MAX: u32 = 2_000;

skep_sdk::installer!(Resources);
