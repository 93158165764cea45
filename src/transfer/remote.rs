//! Calls about what is there: listings, details, folders, the trash. An account may be refused all of
//! them and upload all the same.

use std::collections::HashSet;

use super::{Scope, Terms, Transfer};
use crate::auth::Secret;
use crate::error::{Error, Kind, Operation, Result};
use crate::policy::{Repeat, RetryBudget};
use crate::sync::Mutex;
use crate::wire::{self, Entry, EntryKind, ListPage, PAGE};

impl Transfer {
    /// The page of the folder `folder` (0 is the root) that begins after the entry `after`.
    ///
    /// # Errors
    /// As the call fails.
    pub async fn list(&self, scope: &Scope, folder: i64, after: Option<i64>) -> Result<ListPage> {
        let service = self.service();
        let once = |token: Secret| async move { service.list(token.expose(), folder, after).await };
        self.ask(Operation::List, scope, once).await
    }

    /// Those of `ids` that are there, the trash included.
    ///
    /// # Errors
    /// As a call fails.
    pub async fn infos(&self, scope: &Scope, ids: &[i64]) -> Result<Vec<Entry>> {
        let service = self.service();
        if let &[id] = ids {
            let once = |token: Secret| async move { service.detail(token.expose(), id).await };
            let found = self.ask(Operation::Detail, scope, once).await?;
            return Ok(found.into_iter().collect());
        }
        let mut found = Vec::new();
        for ids in ids.chunks(PAGE) {
            let once = |token: Secret| async move { service.infos(token.expose(), ids).await };
            found.extend(self.ask(Operation::Infos, scope, once).await?);
        }
        Ok(found)
    }

    /// The folder `name` below `parent`, made where it is not there.
    ///
    /// # Errors
    /// As a call fails.
    pub async fn make_folder(&self, scope: &Scope, parent: i64, name: &str) -> Result<i64> {
        let service = self.service();
        let once = |token: Secret| async move { service.mkdir(token.expose(), parent, name).await };
        match self.ask(Operation::Mkdir, scope, once).await {
            Ok(Some(id)) => return Ok(id),
            // Some accounts are not told the id.
            Ok(None) => {}
            Err(error) if wire::is_folder_there(&error) => {}
            Err(error) => return Err(error),
        }
        let mut cursor = Cursor::default();
        while !cursor.has_ended() {
            let page = self.list(scope, parent, cursor.after()).await?;
            let is_it = |entry: &&Entry| {
                entry.kind == EntryKind::Folder && !entry.trashed && entry.name == name
            };
            if let Some(folder) = page.entries.iter().find(is_it) {
                return Ok(folder.id);
            }
            cursor.advance(page.next)?;
        }
        let message = format!("the folder {name:?} was made and is not listed");
        Err(Error::new(Kind::Protocol, Operation::Mkdir, message))
    }

    /// Sees that there is a folder `name` below `parent`; whether it was made.
    ///
    /// # Errors
    /// As the call fails.
    pub async fn ensure_folder(&self, scope: &Scope, parent: i64, name: &str) -> Result<bool> {
        let service = self.service();
        let once = |token: Secret| async move { service.mkdir(token.expose(), parent, name).await };
        match self.ask(Operation::Mkdir, scope, once).await {
            Ok(_) => Ok(true),
            Err(error) if wire::is_folder_there(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Moves files to the trash.
    ///
    /// # Errors
    /// As a call fails.
    pub async fn trash(&self, scope: &Scope, ids: &[i64]) -> Result<()> {
        let service = self.service();
        for ids in ids.chunks(PAGE) {
            let once = |token: Secret| async move { service.trash(token.expose(), ids).await };
            self.ask(Operation::Trash, scope, once).await?;
        }
        Ok(())
    }

    /// All of these may be said twice.
    async fn ask<T, F>(
        &self,
        operation: Operation,
        scope: &Scope,
        once: impl Fn(Secret) -> F + Send,
    ) -> Result<T>
    where
        T: Send,
        F: Future<Output = Result<T>> + Send,
    {
        let terms = Terms {
            scope,
            repeat: Repeat::Safe,
            budget: &Mutex::new(RetryBudget::new(REPEATS)),
            waits: None,
            priority: 0,
        };
        let answer = self.call(operation, terms, once).await?;
        Ok(answer.value)
    }
}

/// How far a listing has come.
#[derive(Debug, Default)]
pub struct Cursor {
    after: Option<i64>,
    seen: HashSet<i64>,
    ended: bool,
}

impl Cursor {
    /// The entry after which the next page begins.
    #[must_use]
    pub fn after(&self) -> Option<i64> {
        self.after
    }

    /// Whether the last page was read.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// A page was read, which says where the next one begins.
    ///
    /// # Errors
    /// [`Kind::Protocol`] where that page was read before: the listing would never end.
    pub fn advance(&mut self, next: Option<i64>) -> Result<()> {
        match next {
            None => self.ended = true,
            Some(next) if !self.seen.insert(next) => {
                let message = "the listing repeats a page and would never end";
                return Err(Error::new(Kind::Protocol, Operation::List, message));
            }
            Some(next) => self.after = Some(next),
        }
        Ok(())
    }
}

/// Repeats of one of these calls: some ten seconds. Files wait for them that can go without.
const REPEATS: u32 = 4;
