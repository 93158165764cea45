//! How many files and bytes may be hashed and not yet used up: bounds memory and open files, and
//! keeps what was hashed in the page cache until it is sent. In: sizes. Out: room, or none now.
//! Never: a wait.

use std::fmt;
use std::sync::Arc;

/// An amount of files and of their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Size {
    /// More than there can be.
    pub const UNLIMITED: Size = Size {
        files: u64::MAX,
        bytes: u64::MAX,
    };
}

/// A limit, and what is used of it. A file larger than the whole limit fits when nothing is used.
#[derive(Debug)]
pub(super) struct ByteBudget {
    limit: Size,
    used: Size,
}

impl ByteBudget {
    pub(super) fn new(limit: Size) -> ByteBudget {
        let used = Size::default();
        ByteBudget { limit, used }
    }

    /// Whether nothing has to be counted.
    pub(super) fn is_unlimited(&self) -> bool {
        self.limit == Size::UNLIMITED
    }

    pub(super) fn fits(&self, bytes: u64) -> bool {
        let Size { files, bytes: used } = self.used;
        files == 0 || (files < self.limit.files && used.saturating_add(bytes) <= self.limit.bytes)
    }

    /// Takes a file's part; it must be given back.
    pub(super) fn take(&mut self, bytes: u64) {
        self.used.files += 1;
        self.used.bytes += bytes;
    }

    pub(super) fn give_back(&mut self, bytes: u64) {
        self.used.files -= 1;
        self.used.bytes -= bytes;
    }
}

/// Which of an engine's two queues a file is in, each with a budget of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Read into memory.
    Small,
    /// Mapped, or read piece by piece.
    Large,
}

/// The owner of the budgets.
pub(super) trait Budgets: Send + Sync {
    /// A file's part has another size than was taken; `None` gives it back.
    fn change(self: Arc<Self>, class: Class, from: u64, to: Option<u64>);
}

/// A file's part of a budget; dropping it makes room.
pub struct BudgetGuard {
    /// `None` where there is no limit.
    budgets: Option<Arc<dyn Budgets>>,
    class: Class,
    bytes: u64,
}

impl BudgetGuard {
    pub(super) fn new(budgets: Option<Arc<dyn Budgets>>, class: Class, bytes: u64) -> BudgetGuard {
        BudgetGuard {
            budgets,
            class,
            bytes,
        }
    }

    /// The file turned out to have so many bytes: counted, even where they are too many.
    pub(super) fn resize(&mut self, bytes: u64) {
        if bytes != self.bytes {
            self.change(Some(bytes));
            self.bytes = bytes;
        }
    }

    fn change(&self, to: Option<u64>) {
        if let Some(budgets) = &self.budgets {
            Arc::clone(budgets).change(self.class, self.bytes, to);
        }
    }
}

impl Drop for BudgetGuard {
    fn drop(&mut self) {
        self.change(None);
    }
}

impl fmt::Debug for BudgetGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BudgetGuard { class, bytes, .. } = self;
        write!(f, "BudgetGuard({class:?}, {bytes})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_bytes_are_bounded() {
        let limit = Size {
            files: 2,
            bytes: 10,
        };
        let mut budget = ByteBudget::new(limit);
        assert!(budget.fits(11), "a giant passes alone");
        budget.take(6);
        assert!(budget.fits(4) && !budget.fits(5), "bytes");
        budget.take(2);
        assert!(!budget.fits(1), "files");
        budget.give_back(6);
        assert!(budget.fits(8) && !budget.fits(9));
        budget.give_back(2);
        assert_eq!(budget.used, Size::default());
        let mut budget = ByteBudget::new(Size::UNLIMITED);
        budget.take(1);
        assert!(budget.fits(u64::MAX));
    }
}
