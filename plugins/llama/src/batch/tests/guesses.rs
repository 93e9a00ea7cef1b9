//! Answers with guesses are those without, whatever the guesses are worth, where they end and what happens meanwhile.

use super::*;

/// Long enough for texts to repeat themselves.
fn wide() -> Bounds {
    Bounds {
        context: 160,
        output_rows: 24,
        step_tokens: 32,
        ..bounds()
    }
}

/// What runs are said to take; what is guessed follows from it.
const PRICES: [fn(usize) -> u64; 4] = [
    |_| 100,
    |rows| 100 + 10 * rows as u64,
    |rows| 100 * rows.div_ceil(4) as u64,
    |rows| 50 + ((rows as u64 * 0x9e37_79b9) >> 3) % 100,
];

fn guessing(pages: u32, ns: fn(usize) -> u64) -> Batcher<Machine> {
    let mut batcher = batcher(pages, wide());
    batcher.plan.habits = true;
    batcher.plan.ns = ns;
    batcher.speculate(None);
    batcher
}

/// With a smaller machine that guesses.
fn drafted(pages: u32, ns: fn(usize) -> u64, bounds: DraftBounds) -> Batcher<Machine> {
    let mut small = Machine::new(pages, PAGE, wide());
    (small.habits, small.mind, small.ns) = (true, 1, |_| 10);
    let mut batcher = guessing(pages, ns);
    batcher.speculate(Some(Draft::new(small, bounds)));
    batcher
}

const WHOLE: DraftBounds = DraftBounds {
    vocabulary: machine::VOCABULARY,
    context: 160,
    run_tokens: 10,
};

/// What the smaller machine is said to have computed is what it has computed.
fn check_followed(batcher: &Batcher<Machine>) {
    let Some(draft) = &batcher.draft else {
        return;
    };
    for sequence in &batcher.running {
        for place in 0..sequence.followed {
            let cached = draft.plan.cached(&sequence.pages, place);
            assert_eq!(cached, sequence.token(place), "at {place}");
        }
    }
}

/// What a job gives with a machine for itself that guesses nothing.
fn plain(job: &Job) -> BTreeMap<u32, Answer> {
    let mut batcher = batcher(1000, wide());
    batcher.plan.habits = true;
    only(batcher, job)
}

fn long(draw: &mut Draw) -> Job {
    let mut job = draw.job();
    job.tokens_max = [None, Some(1 + draw.below(90) as u32)][draw.below(2) as usize];
    if draw.below(3) == 0 {
        // Stops that come seldom.
        job.stops = ["ab".to_owned(), "(Q".to_owned()].into();
    } else {
        job.stops = Rc::default();
    }
    if draw.below(2) == 0 {
        job.sampling.frequency_penalty = 0.0;
        job.sampling.repetition_penalty = 1.0;
    }
    job.sampling.presence_penalty = [0.0, 0.0, 0.4][draw.below(3) as usize];
    job.sampling.min_p = [0.0, 0.05][draw.below(2) as usize];
    job
}

fn counted(batcher: &Batcher<Machine>) -> (u64, u64) {
    let all = batcher.speculation.as_ref().unwrap();
    (all.guessed, all.kept)
}

fn compare(jobs: &[Job], record: &Record, about: &str) {
    assert!(record.failed.is_empty(), "{:?}", record.failed);
    assert_eq!(record.done.len(), jobs.len());
    for (request, job) in jobs.iter().enumerate() {
        let mut tokens = 0;
        for (choice, expected) in plain(job) {
            let found = &record.answers[&(request as u64, choice)];
            assert_eq!(
                found, &expected,
                "{about}: request {request}, choice {choice}"
            );
            tokens += expected.tokens.len();
        }
        let usage = record.done[&(request as u64)];
        assert_eq!(usage.completion_tokens as usize, tokens);
        assert_eq!(usage.prompt_tokens as usize, job.prompt.len());
    }
}

/// Many requests at once, with too few pages for all of them. Returns how many guesses there were, and were kept.
fn crowds(make: impl Fn(u32, fn(usize) -> u64) -> Batcher<Machine>) -> (u64, u64) {
    let (mut guessed, mut kept) = (0, 0);
    for seed in 0..16 {
        let mut draw = Draw(500 + seed);
        // From one context and a little to plenty.
        let pages = 41 + 24 * (seed as u32 % 3);
        let mut batcher = make(pages, PRICES[seed as usize % PRICES.len()]);
        let mut record = Record::default();
        let jobs: Vec<Job> = (0..1 + draw.below(9)).map(|_| long(&mut draw)).collect();
        for (request, job) in jobs.iter().enumerate() {
            batcher.submit(request as u64, job.clone()).unwrap();
            for _ in 0..draw.below(12) {
                let events = batcher.step().unwrap();
                check_followed(&batcher);
                record.take(events);
            }
        }
        finish(&mut batcher, &mut record);
        compare(&jobs, &record, &format!("seed {seed}"));
        let (more_guessed, more_kept) = counted(&batcher);
        guessed += more_guessed;
        kept += more_kept;
    }
    (guessed, kept)
}

/// One request for each way of choosing, alone, so that many tokens come in one step.
fn ways_of_choosing(make: impl Fn(u32, fn(usize) -> u64) -> Batcher<Machine>) -> (u64, u64) {
    let (mut guessed, mut kept) = (0, 0);
    for seed in 0..30 {
        let mut draw = Draw(9000 + seed);
        let jobs = [long(&mut draw)];
        let mut batcher = make(60, PRICES[0]);
        let mut record = Record::default();
        batcher.submit(0, jobs[0].clone()).unwrap();
        while !record.done.contains_key(&0) {
            let events = batcher.step().unwrap();
            check_followed(&batcher);
            record.take(events);
        }
        compare(&jobs, &record, &format!("seed {seed}"));
        let (more_guessed, more_kept) = counted(&batcher);
        guessed += more_guessed;
        kept += more_kept;
    }
    (guessed, kept)
}

#[test]
fn found_guesses_change_nothing_in_crowds() {
    let (guessed, kept) = crowds(guessing);
    assert!(kept > 500 && guessed - kept > 200, "{kept} of {guessed}");
}

#[test]
fn found_guesses_change_nothing_alone() {
    let (guessed, kept) = ways_of_choosing(guessing);
    assert!(kept > 300 && guessed - kept > 200, "{kept} of {guessed}");
}

#[test]
fn modelled_guesses_change_nothing_in_crowds() {
    let (guessed, kept) = crowds(|pages, ns| drafted(pages, ns, WHOLE));
    assert!(kept > 1000 && guessed - kept > 200, "{kept} of {guessed}");
}

#[test]
fn modelled_guesses_change_nothing_alone() {
    let (guessed, kept) = ways_of_choosing(|pages, ns| drafted(pages, ns, WHOLE));
    assert!(kept > 1000 && guessed - kept > 200, "{kept} of {guessed}");
}

/// The smaller model may know fewer tokens and take shorter texts.
#[test]
fn guesses_end_where_the_smaller_model_does() {
    let short = DraftBounds {
        vocabulary: 150,
        context: 70,
        run_tokens: 10,
    };
    let (guessed, kept) = ways_of_choosing(|pages, ns| drafted(pages, ns, short));
    assert!(kept > 300 && guessed - kept > 200, "{kept} of {guessed}");
}

/// Numbers that are none, in the middle of what comes in one step, fail as they would alone.
#[test]
fn failures_come_after_what_came_before_them() {
    let mut middle = 0;
    for seed in 0..40 {
        let mut asked = repetitive(100);
        asked.sampling.seed = Some(seed);
        asked.sampling.temperature = 0.8;
        asked.sampling.logit_bias = vec![(POISON, 64.0)];
        let mut batcher = drafted(60, PRICES[0], WHOLE);
        batcher.submit(0, asked.clone()).unwrap();
        let mut record = Record::default();
        let mut last = 0;
        while record.failed.is_empty() && record.done.is_empty() {
            let events = batcher.step().unwrap();
            for event in &events {
                if let Event::Gained(gain) = event {
                    last = gain.tokens.len();
                }
            }
            record.take(events);
        }
        middle += usize::from(last > 1 && !record.failed.is_empty());
        assert_eq!(record.answers.remove(&(0, 0)), plain(&asked).remove(&0));
    }
    assert!(middle > 3, "{middle}");
}

/// Answers to one prompt share what the smaller model has computed of it.
#[test]
fn the_smaller_model_computes_a_shared_prompt_once() {
    let mut batcher = drafted(200, PRICES[0], WHOLE);
    let mut asked = job(&(0..40).collect::<Vec<_>>());
    (asked.choices, asked.tokens_max) = (4, Some(60));
    asked.sampling.temperature = 0.7;
    batcher.submit(0, asked.clone()).unwrap();
    let mut record = Record::default();
    while !batcher.running.iter().any(|sequence| sequence.followed > 0) {
        record.take(batcher.step().unwrap());
    }
    // Each behind the other where they share a page, but none twice.
    while batcher
        .running
        .iter()
        .any(|sequence| sequence.followed < 40)
    {
        record.take(batcher.step().unwrap());
        check_followed(&batcher);
    }
    let computed = batcher.draft.as_ref().unwrap().plan.computed;
    assert!(computed < 40 + 4 * 40, "{computed}");
    finish(&mut batcher, &mut record);
    compare(&[asked], &record, "shared");
}

/// What an answer left in the cache is what its tokens are, guesses that failed or not.
#[test]
fn pages_hold_no_failed_guess() {
    for seed in 0..20 {
        let mut draw = Draw(70 + seed);
        let first = Job {
            tokens_max: Some(60),
            choices: 1,
            continued: Rc::default(),
            echo: None,
            ..long(&mut draw)
        };
        let mut batcher = guessing(60, PRICES[0]);
        let mut record = Record::default();
        batcher.submit(0, first.clone()).unwrap();
        finish(&mut batcher, &mut record);
        let mut prompt = first.prompt.to_vec();
        prompt.extend(&record.answers[&(0, 0)].tokens);
        let second = Job {
            logprobs: Some(2),
            ..job(&prompt)
        };
        batcher.submit(1, second.clone()).unwrap();
        finish(&mut batcher, &mut record);
        let cached = record.done[&1].cached_tokens as usize;
        assert!(
            cached + 2 * PAGE >= prompt.len(),
            "{cached} of {}",
            prompt.len()
        );
        assert_eq!(record.answers[&(1, 0)], plain(&second)[&0], "seed {seed}");
    }
}

/// A break in the middle of an answer that comes several tokens at a time.
#[test]
fn breaks_heal() {
    let mut several = 0;
    for seed in 0..6 {
        let mut draw = Draw(40 + seed);
        let job = long(&mut draw);
        let expected = plain(&job);
        for steps in (0..120).step_by(3) {
            let mut first = guessing(60, PRICES[0]);
            first.submit(0, job.clone()).unwrap();
            let mut record = Record::default();
            for _ in 0..steps {
                let events = first.step().unwrap();
                let gains = events
                    .iter()
                    .filter(|event| matches!(event, Event::Gained(gain) if gain.tokens.len() > 1));
                several += gains.count();
                record.take(events);
            }
            if record.done.contains_key(&0) {
                break;
            }
            let mut after = resume::broken(&record);
            let mut second = guessing(60, PRICES[1]);
            second.submit(0, resume::rest(&job, &record, 0)).unwrap();
            finish(&mut second, &mut after);
            for (choice, expected) in &expected {
                let found = &after.answers[&(0, *choice)];
                assert_eq!(
                    found, expected,
                    "seed {seed}, {steps} steps, choice {choice}"
                );
            }
        }
    }
    assert!(several > 100, "{several}");
}

fn repetitive(tokens: u32) -> Job {
    Job {
        tokens_max: Some(tokens),
        ..job(&[1, 2, 3])
    }
}

#[test]
fn fewer_steps_where_rows_are_cheap() {
    let steps = |ns: Option<fn(usize) -> u64>| {
        let mut batcher = guessing(60, ns.unwrap_or(PRICES[0]));
        if ns.is_none() {
            batcher.speculation = None;
        }
        batcher.submit(0, repetitive(150)).unwrap();
        let mut record = Record::default();
        finish(&mut batcher, &mut record);
        assert_eq!(record.answers[&(0, 0)], plain(&repetitive(150))[&0]);
        (record.steps, batcher.plan.computed)
    };
    let (plain_steps, plain_rows) = steps(None);
    let (cheap_steps, _) = steps(Some(|_| 100));
    assert!(
        cheap_steps * 3 < plain_steps,
        "{cheap_steps} of {plain_steps}"
    );
    // Each row costs as much as a step: what is tried to learn that is all that is wasted.
    let (dear_steps, dear_rows) = steps(Some(|rows| 100 * rows as u64));
    assert!(
        dear_steps * 10 > plain_steps * 8,
        "{dear_steps} of {plain_steps}"
    );
    assert!(dear_rows < plain_rows + 40, "{dear_rows} of {plain_rows}");
}

#[test]
fn prompts_go_before_guesses() {
    let mut batcher = guessing(200, PRICES[0]);
    let mut record = Record::default();
    batcher.submit(0, repetitive(150)).unwrap();
    while counted(&batcher).0 == 0 {
        record.take(batcher.step().unwrap());
    }
    let (before, _) = counted(&batcher);
    let prompt: Vec<u32> = (0..120).collect();
    batcher.submit(1, job(&prompt)).unwrap();
    while !record.answers.contains_key(&(1, 0)) {
        record.take(batcher.step().unwrap());
        assert_eq!(counted(&batcher).0, before);
    }
    finish(&mut batcher, &mut record);
    assert!(counted(&batcher).0 > before);
}
