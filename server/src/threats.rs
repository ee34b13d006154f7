//! Known attacks on payment by palm, and what answers each. Documentation only.
//!
//! | attack | answer | where |
//! |---|---|---|
//! | A recorded template is sent again | the envelope is bound to till, payment id, amount and capture nonce; a nonce is used once | [`crate::checkout`], `palm_proto::envelope` |
//! | A template is moved to another amount, payment or till | its associated data no longer fits: it does not open | `palm_proto::envelope` |
//! | A till sends any template that it likes | it needs an enrolled certificate and is revoked by name; the till is trusted with the capture until the reader signs it | [`crate::tills`] |
//! | A forged or printed palm before the reader | not answered by the service: liveness is the reader's and the till's part. The service answers neither scores nor who was nearest, so that nothing can be climbed | [`crate::gallery`] |
//! | A till guesses palm after palm | searches are counted by till and matches by person; over the budget a person is answered as a stranger is | [`crate::config::Limits`] |
//! | Two people who look alike to the matcher | `Ambiguous`: never a payment by palm alone; a second factor of one of the two tells them apart | [`crate::gallery::Identity`] |
//! | One palm enrolled twice, to pay from another's wallet or to escape deletion | one to many check at enrolment, under a lock: two enrolments at once cannot both find the palm free | [`crate::enrolment`] |
//! | Two people's palms under one customer | samples of one hand must agree with each other and with those kept before | [`crate::enrolment`] |
//! | The store is stolen | templates and names are sealed under a key a person, wrapped by the master key, which is not in the store | [`crate::vault`] |
//! | The gallery's blocks are stolen | ring-LWE ciphertext under an epoch's key that is not with them; replace `keys.gallery` and every block is made again, without the customers | [`crate::gallery::sealed::security`] |
//! | A sealed row is moved to another customer | table and key are associated data: it does not open | [`crate::vault::Place`] |
//! | The running process is read | blocks are ciphertext there too, but their keys, the codes that wait for a block and opened templates are not: whoever owns the process owns them, unless the keyholder is a process of its own | [`crate::gallery`], [`crate::gallery::holder`] |
//! | palmd is taken over, its keyholder is not | it never had a palm or a key of one; what it can still ask is bounded by the keyholder's own budget and by how often one capture is looked for | [`crate::gallery::sealed::security`] |
//! | Deletion is only a mark | the person's key and every row sealed under it are deleted in one batch. The store's old log segments hold the wrapped key until they are rewritten, and so do backups | [`crate::customers::Customers::delete`] |
//! | An answer is lost, the till charges again | the payment id decides: the same answer again, or a cancellation that no late send gets past | [`crate::checkout`] |
//! | Power fails between answer and disk | nothing is answered before the commit that records it is on disk | [`crate::writer`] |
//! | A refused request fills the store | what is malformed, unsealed or over the limit is refused before anything is written | [`crate::api`], [`crate::checkout`] |
//! | Too many calls, too large messages, silent connections | bounds on each, in one place | [`crate::limits`], [`crate::config::Limits`] |
//! | A name or an item that commands a printer, a spreadsheet or a page | control characters are taken out of all printed text, cells that could run are disarmed, pages and messages are escaped | [`crate::reports`] |
//! | A bank's message that explodes or reaches out | no document types, no entities, bounds on size, depth, elements and attributes | [`crate::reports::bank`] |
//! | A pay-out file is sent twice | the same batch is the same bytes under the same id; the bank's answer that it had it is told from a refusal | [`crate::reports::payout`] |
//! | A till's day is altered before it is closed | a Z report is numbered without gaps and closed only when it is what the ledger posted | [`crate::reports::zreport`] |
//! | Names or scores in a log | log lines hold till ids, payment ids, outcomes, times and counts | [`crate::logging`] |
//! | A relayed capture: a palm held over one reader pays at another | the till that captured is part of the binding; a till that lies is the case above | `palm_proto::envelope` |
//! | Somebody guesses a customer's PIN | five wrong ones in a row, three for one payment; the answer does not say what was wrong, and takes the same time when there is none | [`crate::safeguards`] |
//! | A rail's answer is lost, or palmd stops before it | the step was on disk before it was sent: it is looked up, else reversed, before anybody is told | [`crate::payments`] |
//! | A refund is asked for twice, or above what was paid | idempotent in its request id; the sum of refunds is kept with the payment and refused above the captured | [`crate::payments`] |
//! | A card number is typed where a token belongs | refused wherever a token is read, by length and Luhn's rule, and never logged | [`crate::rail`] |
//! | A coerced customer | limits of their own and of the shop's bound the loss, and a frozen palm pays nothing | [`crate::safeguards`] |
