//! Faults that strike one call, sorted by when they act. In come the actions that were due, out
//! goes what happens instead of the judge, around it and after it; what changes the state is
//! changed here, before the call is looked at.

use std::time::Duration;

use serde_json::{Value, json};

use crate::action::{Action, Cut};
use crate::fault::Operation;
use crate::reply::{Refusal, Reply};
use crate::state::{State, lock};
use crate::weather::{Place, Service};

/// What strikes one call.
#[derive(Debug, Default)]
pub(crate) struct Strike {
    /// What happens instead of judging.
    pub(crate) instead: Option<Action>,
    /// Bytes of the body after which reading stops, and for how long.
    pub(crate) stall_reading: Option<(u64, Duration)>,
    pub(crate) stall_answer: Duration,
    pub(crate) refuse_chunked: bool,
    pub(crate) last_call: bool,
    /// The file is taken into the queue, and no id is told.
    pub(crate) queued: Option<Action>,
    /// What becomes of the answer once everything is done.
    pub(crate) spoil: Option<Action>,
}

impl Strike {
    /// What strikes the call of `operation` that just began at `place`.
    pub(crate) fn pick(state: &State, operation: Operation, place: Place) -> Self {
        let due = lock(&state.faults).strike(operation, place);
        let mut strike = Self::default();
        for action in due {
            strike.sort(state, action);
        }
        strike
    }

    fn sort(&mut self, state: &State, action: Action) {
        match action {
            Action::Http { .. }
            | Action::Answer { .. }
            | Action::Code { .. }
            | Action::Reset
            | Action::Close(Cut::BeforeBody | Cut::After(_) | Cut::AfterBody) => {
                self.instead.get_or_insert(action);
            }
            Action::StallReading { after, millis } => {
                self.stall_reading = Some((after, Duration::from_millis(millis)));
            }
            Action::StallAnswer { millis } => self.stall_answer = Duration::from_millis(millis),
            Action::Queued { .. } => {
                self.queued.get_or_insert(action);
            }
            Action::RefuseChunked => self.refuse_chunked = true,
            Action::LastCall => self.last_call = true,
            Action::TruncatedJson
            | Action::WrongJson
            | Action::NoFileId
            | Action::NotCompleted
            | Action::DoneBut { .. }
            | Action::Close(Cut::AfterCommit | Cut::InAnswer) => {
                self.spoil.get_or_insert(action);
            }
            Action::ExpireTokens => lock(&state.tokens).expire_all(),
            Action::ForgetUploads => state.storage.forget_uploads(),
            Action::Kill { server } => {
                let _ = state.serve(Place::Server(server), Service::Dead);
            }
            Action::Revive { server } => {
                let _ = state.serve(Place::Server(server), Service::Up);
            }
            Action::Weather { place, weather } => {
                let _ = state.change_weather(place, weather);
            }
        }
    }

    /// How statistics call what was done to the call, if it changed its answer.
    pub(crate) fn name(&self) -> Option<String> {
        let action = self.instead.as_ref();
        let action = action.or(self.queued.as_ref()).or(self.spoil.as_ref())?;
        let script = serde_json::to_string(action).ok()?;
        Some(script.trim_matches('"').to_owned())
    }
}

/// The answer of a call that was done, as `action` leaves it.
pub(crate) fn spoilt(action: &Action, reply: Reply, state: &State) -> Reply {
    let quirks = &state.config.quirks;
    let says = |completed: bool| Reply::done(json!({"completed": completed, "fileID": 0}), quirks);
    match action {
        Action::TruncatedJson => {
            let half = reply.body[..reply.body.len() / 2].to_vec();
            reply.spoilt(half)
        }
        Action::WrongJson => {
            let wrong: Value = json!([{"code": "ok"}, 0, null]);
            reply.spoilt(wrong.to_string().into_bytes())
        }
        Action::NoFileId => says(true),
        Action::NotCompleted => says(false),
        Action::DoneBut { code, message } => {
            Reply::refused(&Refusal::code(*code, message.clone()), quirks)
        }
        _ => reply,
    }
}
