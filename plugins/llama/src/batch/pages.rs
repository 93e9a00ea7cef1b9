//! Who holds which page of the cache, and which pages can be found again by the tokens they were computed from.
//!
//! A full page is known by the page before it and its own tokens, compared token by token, so a hit is never a
//! coincidence. Pages that nobody holds stay findable until their room is needed, the longest unused first.

use std::collections::BTreeMap;

/// The pages of one cache.
#[derive(Debug)]
pub(super) struct Pages {
    page_tokens: usize,
    pages: Vec<Page>,
    free: Vec<u32>,
    /// By the name of the page before and the tokens.
    known: BTreeMap<Name, BTreeMap<Box<[u32]>, u32>>,
    /// Known pages that nobody holds, by when they were released.
    idle: BTreeMap<u64, u32>,
    /// Counts names and releases; never comes round in the life of a machine.
    clock: u64,
}

/// What a full page's contents are called. A name is never given twice, so it outlives its page without harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(u64);

impl Name {
    /// What comes before a sequence's first page.
    pub(super) const START: Self = Self(0);
}

#[derive(Debug, Clone, Default)]
struct Page {
    holders: u32,
    /// Whether the smaller model has computed all of it too.
    followed: bool,
    /// Set for a page that can be found.
    known: Option<Known>,
}

#[derive(Debug, Clone)]
struct Known {
    name: Name,
    before: Name,
    tokens: Box<[u32]>,
    /// When it was last released, if nobody holds it.
    idle_since: Option<u64>,
}

impl Pages {
    /// All pages are free.
    pub(super) fn new(count: u32, page_tokens: usize) -> Self {
        Self {
            page_tokens,
            pages: vec![Page::default(); count as usize],
            free: (0..count).rev().collect(),
            known: BTreeMap::new(),
            idle: BTreeMap::new(),
            clock: 0,
        }
    }

    /// Tokens in one page.
    pub(super) fn page_tokens(&self) -> usize {
        self.page_tokens
    }

    /// Number of pages.
    pub(super) fn count(&self) -> usize {
        self.pages.len()
    }

    /// How many pages `allocate` can give.
    pub(super) fn available(&self) -> usize {
        self.free.len() + self.idle.len()
    }

    /// Holds the known pages that begin `tokens`, and names the last of them.
    pub(super) fn find(&mut self, tokens: &[u32]) -> (Vec<u32>, Name) {
        let (mut found, mut before) = (Vec::new(), Name::START);
        for chunk in tokens.chunks_exact(self.page_tokens) {
            let Some(&page) = self.known.get(&before).and_then(|next| next.get(chunk)) else {
                break;
            };
            let Some(name) = self.hold(page) else { break };
            found.push(page);
            before = name;
        }
        (found, before)
    }

    /// Holds a page with no known contents. None if every page is held.
    pub(super) fn allocate(&mut self) -> Option<u32> {
        let page = match self.free.pop() {
            Some(page) => page,
            None => {
                let (_, page) = self.idle.pop_first()?;
                self.forget(page);
                page
            }
        };
        let entry = self.pages.get_mut(page as usize)?;
        (entry.holders, entry.followed) = (1, false);
        Some(page)
    }

    /// Makes a held page findable once all of its tokens are computed, and names its contents. If a page with the
    /// same contents is known already, that one stays the one to find.
    pub(super) fn publish(&mut self, page: u32, before: Name, tokens: &[u32]) -> Name {
        if let Some(known) = self.known.get(&before).and_then(|next| next.get(tokens))
            && let Some(known) = self.pages.get(*known as usize)
            && let Some(known) = &known.known
        {
            return known.name;
        }
        self.clock += 1;
        let name = Name(self.clock);
        if let Some(entry) = self.pages.get_mut(page as usize) {
            entry.known = Some(Known {
                name,
                before,
                tokens: tokens.into(),
                idle_since: None,
            });
            self.known
                .entry(before)
                .or_default()
                .insert(tokens.into(), page);
        }
        name
    }

    /// Notes that the smaller model has computed all tokens of a held page.
    pub(super) fn follow(&mut self, page: u32) {
        if let Some(entry) = self.pages.get_mut(page as usize) {
            entry.followed = true;
        }
    }

    /// Whether the smaller model has computed all tokens of a page.
    pub(super) fn is_followed(&self, page: u32) -> bool {
        self.pages
            .get(page as usize)
            .is_some_and(|entry| entry.followed)
    }

    /// Lets go of a sequence's pages, given first to last.
    pub(super) fn release(&mut self, pages: &[u32]) {
        // The last goes first, so that a page never outlives the one before it, without which it cannot be found.
        for &page in pages.iter().rev() {
            let Some(entry) = self.pages.get_mut(page as usize) else {
                continue;
            };
            entry.holders = entry.holders.saturating_sub(1);
            if entry.holders > 0 {
                continue;
            }
            match &mut entry.known {
                Some(known) => {
                    self.clock += 1;
                    known.idle_since = Some(self.clock);
                    self.idle.insert(self.clock, page);
                }
                None => self.free.push(page),
            }
        }
    }

    fn hold(&mut self, page: u32) -> Option<Name> {
        let entry = self.pages.get_mut(page as usize)?;
        let known = entry.known.as_mut()?;
        if let Some(since) = known.idle_since.take() {
            self.idle.remove(&since);
        }
        entry.holders += 1;
        Some(known.name)
    }

    fn forget(&mut self, page: u32) {
        let entry = self.pages.get_mut(page as usize);
        let Some(known) = entry.and_then(|entry| entry.known.take()) else {
            return;
        };
        if let Some(next) = self.known.get_mut(&known.before) {
            next.remove(&known.tokens);
            if next.is_empty() {
                self.known.remove(&known.before);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish_all(pages: &mut Pages, tokens: &[u32]) -> Vec<u32> {
        let (mut held, mut name) = pages.find(tokens);
        for chunk in tokens.chunks_exact(pages.page_tokens()).skip(held.len()) {
            let page = pages.allocate().unwrap();
            name = pages.publish(page, name, chunk);
            held.push(page);
        }
        held
    }

    #[test]
    fn finds_what_was_published() {
        let mut pages = Pages::new(8, 2);
        let first = publish_all(&mut pages, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(pages.available(), 5);
        let (shared, _) = pages.find(&[1, 2, 3, 4, 9, 9]);
        assert_eq!(shared, &first[..2]);
        assert_eq!(
            pages.find(&[3, 4]).0,
            &[] as &[u32],
            "a page is found only after its own past"
        );
        pages.release(&shared);
        pages.release(&first);
        assert_eq!(pages.available(), 8);
        assert_eq!(pages.find(&[1, 2, 3, 4, 5, 6, 7]).0, first);
    }

    #[test]
    fn gives_up_the_longest_unused_from_its_end() {
        let mut pages = Pages::new(4, 1);
        let old = publish_all(&mut pages, &[1, 2]);
        let new = publish_all(&mut pages, &[7, 8]);
        pages.release(&old);
        pages.release(&new);
        let taken = pages.allocate().unwrap();
        assert_eq!(taken, old[1]);
        assert_eq!(pages.find(&[1, 2]).0, &old[..1]);
        assert_eq!(pages.find(&[7, 8]).0, new);
        assert_eq!(pages.allocate(), None, "all four are held");
    }

    #[test]
    fn same_contents_twice_keep_one_name() {
        let mut pages = Pages::new(4, 1);
        let (a, b) = (pages.allocate().unwrap(), pages.allocate().unwrap());
        let name = pages.publish(a, Name::START, &[5]);
        assert_eq!(pages.publish(b, Name::START, &[5]), name);
        pages.release(&[b]);
        assert_eq!(pages.available(), 3);
        pages.release(&[a]);
        assert_eq!((pages.available(), pages.idle.len()), (4, 1));
    }

    /// Against a plain model: no page is held twice, counts add up, and nothing found differs from what was asked.
    #[test]
    fn random_use_keeps_the_books() {
        let mut state = 1_u64;
        let mut draw = move |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        let mut pages = Pages::new(16, 2);
        let mut held: Vec<Vec<u32>> = Vec::new();
        for _ in 0..5000 {
            if held.len() > 3 || (draw(3) == 0 && !held.is_empty()) {
                let index = draw(held.len() as u64) as usize;
                pages.release(&held.remove(index));
            } else {
                let tokens: Vec<u32> = (0..2 * (1 + draw(4))).map(|_| draw(2) as u32).collect();
                held.push(publish_all(&mut pages, &tokens));
            }
            let mut holders = vec![0; 16];
            held.iter()
                .flatten()
                .for_each(|&page| holders[page as usize] += 1);
            let counted: Vec<u32> = pages.pages.iter().map(|page| page.holders).collect();
            assert_eq!(counted, holders);
            let unheld = holders.iter().filter(|&&count| count == 0).count();
            assert_eq!(pages.available(), unheld);
        }
    }
}
