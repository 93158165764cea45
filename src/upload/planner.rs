//! The door to plans. In: options and files. Out: a run that tells what an upload would do. Never: a call that
//! changes anything.

use super::Item;
use super::client::Client;
use super::core::Core;
use super::listing::Lister;
use super::run::Purpose;
use super::stream::Run;
use crate::error::Result;
use crate::options::Options;

/// Tells what an upload with the same options would do, by the upload's own checks.
///
/// A journal is read where there is one; none is made, and nothing is written to it. The service is asked
/// for listings, unless [`Options::look`] is [`Look::Never`](crate::Look::Never).
#[derive(Debug, Clone)]
pub struct Planner {
    client: Client,
}

impl Planner {
    /// One that has not said anything to the service yet.
    ///
    /// # Errors
    /// [`Kind::Invalid`](crate::Kind::Invalid) where the options make no sense.
    pub fn new(options: Options) -> Result<Planner> {
        let core = Core::to_read(options)?;
        Ok(Planner {
            client: Client::of(core),
        })
    }

    /// Starts planning files: each ends as [`Status::Planned`](super::Status::Planned) where it would be sent, or as it would end
    /// without that. A file is read only where nothing else tells whether its content is there.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start<I>(&self, items: I) -> Result<Run>
    where
        I: IntoIterator<Item = Item>,
        I::IntoIter: Send + 'static,
    {
        let items = items.into_iter();
        self.client.begin(Purpose::Plan, items, Lister::OwnThread)
    }
}
