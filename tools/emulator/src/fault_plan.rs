//! The fault plan of one call: its faults, sorted by when they act. In come the actions that are
//! due, out goes what happens instead of the endpoint, around it and after it; what changes the
//! shared state is changed here, before the call is looked at.

use std::time::Duration;

use serde_json::{Value, json};

use crate::action::{Action, Cut};
use crate::network::{Place, Service};
use crate::operation::Operation;
use crate::reply::{Refusal, Reply};
use crate::state::{State, lock};

/// The faults of one call.
#[derive(Debug, Default)]
pub(crate) struct FaultPlan {
    /// What happens instead of serving.
    pub(crate) instead: Option<Action>,
    /// Bytes of the body after which reading stops, and for how long.
    pub(crate) stall_reading: Option<(u64, Duration)>,
    pub(crate) stall_answer: Duration,
    pub(crate) refuse_chunked: bool,
    pub(crate) last_call: bool,
    /// The file is taken into the queue, and its id is left out of the answer.
    pub(crate) queued: Option<Action>,
    /// A page of a listing ends in the cursor that it was asked with.
    pub(crate) repeat_cursor: bool,
    /// What becomes of the answer once everything is done.
    pub(crate) alter: Option<Action>,
}

impl FaultPlan {
    /// The faults that are due for the call of `operation` that just began at `place`.
    pub(crate) fn pick(state: &State, operation: Operation, place: Place) -> Self {
        let due = lock(&state.faults).due(operation, place);
        let mut plan = Self::default();
        for action in due {
            plan.sort(state, action);
        }
        plan
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
            Action::RepeatCursor => self.repeat_cursor = true,
            Action::TruncatedJson
            | Action::WrongJson
            | Action::NoFileId
            | Action::NotCompleted
            | Action::DoneBut { .. }
            | Action::Close(Cut::AfterCommit | Cut::InAnswer) => {
                self.alter.get_or_insert(action);
            }
            Action::ExpireTokens => lock(&state.tokens).expire_all(),
            Action::ForgetUploads => state.uploads.forget(),
            Action::Kill { server } => {
                let _ = state.change_service(Place::Server(server), Service::Dead);
            }
            Action::Revive { server } => {
                let _ = state.change_service(Place::Server(server), Service::Up);
            }
            Action::Network { place, conditions } => {
                let _ = state.change_network(place, conditions);
            }
        }
    }

    /// How statistics call what was done to the call, if it changed its answer.
    pub(crate) fn name(&self) -> Option<String> {
        let action = self.instead.as_ref();
        let action = action.or(self.queued.as_ref()).or(self.alter.as_ref())?;
        let script = serde_json::to_string(action).ok()?;
        Some(script.trim_matches('"').to_owned())
    }
}

/// The answer of a call that was done, as `action` leaves it.
pub(crate) fn altered(action: &Action, reply: Reply, state: &State) -> Reply {
    let quirks = &state.config.quirks;
    let says = |completed: bool| Reply::done(json!({"completed": completed, "fileID": 0}), quirks);
    match action {
        Action::TruncatedJson => {
            let half = reply.body[..reply.body.len() / 2].to_vec();
            reply.altered(half)
        }
        Action::WrongJson => {
            let wrong: Value = json!([{"code": "ok"}, 0, null]);
            reply.altered(wrong.to_string().into_bytes())
        }
        Action::NoFileId => says(true),
        Action::NotCompleted => says(false),
        Action::DoneBut { code, message } => {
            Reply::refused(&Refusal::code(*code, message.clone()), quirks)
        }
        _ => reply,
    }
}
