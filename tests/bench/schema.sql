CREATE TABLE account (
    id int PRIMARY KEY,
    debits_pending bigint NOT NULL, debits_posted bigint NOT NULL,
    credits_pending bigint NOT NULL, credits_posted bigint NOT NULL
);
CREATE TABLE transfer (
    id uuid PRIMARY KEY, kind text NOT NULL,
    debit int NOT NULL REFERENCES account, credit int NOT NULL REFERENCES account,
    amount bigint NOT NULL CHECK (amount > 0), hold uuid REFERENCES transfer,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE payment (
    id uuid PRIMARY KEY, customer int NOT NULL REFERENCES account, amount bigint NOT NULL,
    state text NOT NULL, hold uuid NOT NULL REFERENCES transfer
);
INSERT INTO account SELECT n, 0, 0, 0, 1000000000000 FROM generate_series(0, 100) n;
