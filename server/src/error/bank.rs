//! Refusals about the shop's bank and pay-outs.

/// Why nothing was done about the bank or a pay-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BankRefusal {
    /// The configuration names no account.
    AccountMissing,
    /// No break goes by this number.
    BreakNotFound,
    /// A customer of a file of pay-outs was deleted since.
    FileGone,
    /// The file of pay-outs is unknown.
    FileNotFound,
    /// No pay-out waits for a file.
    NothingOrdered,
    /// The pay-out is unknown.
    PayoutNotFound,
    /// The pay-out is in a file, or at its end.
    PayoutSent,
    /// The books know of less at the bank than is to leave it.
    Short,
}

impl BankRefusal {
    /// What is wrong and what to do, for people.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::AccountMissing => "name the shop's account: [bank] account in palmd.toml",
            Self::BreakNotFound => "no break goes by this number: run `palmctl reconcile`",
            Self::FileGone => {
                "a customer of this file was deleted after the bank's answer: it cannot be written again"
            }
            Self::FileNotFound => {
                "there is no such file of pay-outs: was this answer meant for another shop?"
            }
            Self::NothingOrdered => "no pay-out waits for a file: order one first",
            Self::PayoutNotFound => {
                "there is no such pay-out: list them with `palmctl payout list`"
            }
            Self::PayoutSent => "the pay-out is in a file for the bank, or at its end: look it up",
            Self::Short => {
                "the books know of less at the bank: book what was paid in (`palmctl bank deposit`) or the rail's \
                 settlement (`palmctl reconcile`) first"
            }
        }
    }
}
