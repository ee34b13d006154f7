\set customer random(1, 100)
\set amount random(1, 100)
BEGIN;
UPDATE account SET debits_pending = debits_pending + :amount
    WHERE id = :customer AND credits_posted - debits_posted - debits_pending >= :amount RETURNING id AS payer \gset
INSERT INTO transfer (id, kind, debit, credit, amount, hold)
    VALUES (gen_random_uuid(), 'hold', :payer, 0, :amount, NULL) RETURNING id AS hold \gset
INSERT INTO transfer (id, kind, debit, credit, amount, hold)
    VALUES (gen_random_uuid(), 'post', :payer, 0, :amount, :hold);
UPDATE account SET debits_pending = debits_pending - :amount, debits_posted = debits_posted + :amount
    WHERE id = :payer;
INSERT INTO payment (id, customer, amount, state, hold)
    VALUES (gen_random_uuid(), :payer, :amount, 'CAPTURED', :hold);
UPDATE account SET credits_posted = credits_posted + :amount WHERE id = 0;
COMMIT;
