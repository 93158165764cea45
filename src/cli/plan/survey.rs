//! A plan's run: files planned by the library, and told in the order in which they were found. In: the
//! items of a walk. Out: how each would end. Never: an upload, or credentials that are not needed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use panup::{
    Credential, Error, Event, Item, Kind, Look, Options, Outcome, Planner, Secret, Status,
};

use super::super::args::{LookFirst, Upload};
use super::super::part::Part;
use super::super::signals::Signals;
use super::super::walk::News;
use super::super::{credentials, run_options};

/// What a plan is made with.
pub struct Survey {
    options: Options,
    unasked: Option<&'static str>,
}

/// Something to tell while planning.
pub enum Told<'a> {
    /// How a file would end.
    File(&'a Outcome),
    /// What the walk said.
    News(&'a News),
    /// Something to know that stops nothing.
    Warning(&'a Error),
    /// What ended the planning, which concerns every file.
    Stopped(&'a Error),
}

/// Who is told.
pub type Tell<'a> = &'a mut dyn FnMut(Told<'_>);

/// How it ended.
pub struct End {
    /// The options.
    pub options: Options,
    /// Why the service was not asked what is there, if it was not.
    pub unasked: Option<&'static str>,
    /// Files that were hashed, and their bytes.
    pub compared: (u64, u64),
    /// The service refused the credentials.
    pub refused: bool,
    /// It was interrupted.
    pub interrupted: bool,
    /// Something ended it that concerns every file.
    pub stopped: bool,
}

impl Survey {
    /// As an upload with these options would go.
    ///
    /// # Errors
    /// Wrong configuration.
    pub fn new(upload: &Upload, part: Option<&Part>) -> Result<Survey, Error> {
        #[cfg(feature = "emulator")]
        let emulator = upload.emulator.is_some();
        #[cfg(not(feature = "emulator"))]
        let emulator = false;
        let credential = match emulator {
            true => None,
            false => credentials::known(&upload.account)?,
        };
        let unasked = match &credential {
            _ if emulator => Some("an emulator that is not started yet has nothing"),
            None => Some("no credentials"),
            Some(_) if upload.look == LookFirst::Never => Some("--look never"),
            Some(_) => None,
        };
        let is_named = credential.is_some() || upload.account.account.is_some();
        let nobody = || Credential::Token(Secret::new("none"));
        let mut options = run_options::of(upload, credential.unwrap_or_else(nobody))?;
        if let Some(part) = part {
            part.divide(&mut options);
        }
        if unasked.is_some() {
            options.look = Look::Never;
        }
        // What the journal knows is of an account, and what an emulator knows is not kept.
        let lasting = !emulator || upload.account.state_dir.is_some();
        options.state_dir = options.state_dir.filter(|_| is_named && lasting);
        Ok(Survey { options, unasked })
    }

    /// The options of the upload.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Plans all of `items`, and tells what comes of each in their order.
    ///
    /// # Errors
    /// The options make no sense, or there is no thread to be had.
    pub fn run(
        self,
        (items, news): (impl Iterator<Item = Item> + Send + 'static, &Receiver<News>),
        tell: Tell<'_>,
    ) -> Result<End, Error> {
        let Survey { options, unasked } = self;
        let signals = Signals::new();
        let runtime = panup::runtime()?;
        let mut end = End {
            options: options.clone(),
            unasked,
            compared: (0, 0),
            refused: false,
            interrupted: false,
            stopped: false,
        };
        runtime.block_on(follow(
            options,
            numbered(items),
            &signals,
            (news, tell),
            &mut end,
        ))?;
        runtime.shutdown_background();
        Ok(end)
    }
}

async fn follow(
    options: Options,
    items: impl Iterator<Item = Item> + Send + 'static,
    signals: &Signals,
    (news, tell): (&Receiver<News>, Tell<'_>),
    end: &mut End,
) -> Result<(), Error> {
    let planner = Planner::new(options)?;
    let mut run = planner.start(items)?;
    let interrupt = run.interrupter();
    signals.at_first(move |most| interrupt.interrupt_within(most));
    let mut order = Order::default();
    while let Some(event) = run.next().await {
        news.try_iter().for_each(|news| tell(Told::News(&news)));
        match event {
            Event::File(outcome) => {
                match &outcome.status {
                    Status::Failed(error) => end.refused |= error.kind() == Kind::Auth,
                    Status::Interrupted(_) => end.interrupted = true,
                    _ => {}
                }
                order.add(outcome);
                while let Some(outcome) = order.next() {
                    tell(Told::File(&outcome));
                }
            }
            Event::Warning(warning) => tell(Told::Warning(&warning.error)),
            Event::Stopped(error) => {
                end.stopped = true;
                tell(Told::Stopped(&error));
            }
            _ => {}
        }
    }
    for outcome in order.rest() {
        tell(Told::File(&outcome));
    }
    news.try_iter().for_each(|news| tell(Told::News(&news)));
    end.compared = run.progress().snapshot().compared;
    Ok(())
}

/// Gives each item its number, before its own tag.
fn numbered(items: impl Iterator<Item = Item>) -> impl Iterator<Item = Item> {
    items.enumerate().map(|(number, mut item)| {
        let tag = item.tag.as_deref().unwrap_or_default();
        item.tag = Some(Arc::from(format!("{number} {tag}")));
        item
    })
}

/// Outcomes that wait for those before them.
#[derive(Default)]
struct Order {
    next: u64,
    waiting: BTreeMap<u64, Outcome>,
}

impl Order {
    fn add(&mut self, mut outcome: Outcome) {
        let tag = outcome.tag.take();
        let split = tag.as_deref().and_then(|tag| tag.split_once(' '));
        let number = split.and_then(|(number, _)| number.parse().ok());
        let own = split.map(|(_, own)| own).filter(|own| !own.is_empty());
        outcome.tag = own.map(Arc::from);
        self.waiting.insert(number.unwrap_or(self.next), outcome);
    }

    /// Where one keeps very many waiting, they go ahead of it.
    fn next(&mut self) -> Option<Outcome> {
        let (&first, _) = self.waiting.first_key_value()?;
        if first > self.next && self.waiting.len() < MOST_WAITING {
            return None;
        }
        self.next = self.next.max(first + 1);
        self.waiting.remove(&first)
    }

    fn rest(self) -> impl Iterator<Item = Outcome> {
        self.waiting.into_values()
    }
}

/// Some tens of MB.
const MOST_WAITING: usize = 100_000;
