-- The state of the first version (commit 491a54d, migration 0001), written by its own code and then dumped.
CREATE TABLE public.accounts (
    id integer NOT NULL,
    base_url text NOT NULL,
    username text NOT NULL,
    next_send_at bigint,
    paused_until bigint,
    pause_reason character varying(20),
    heard_until bigint
);
CREATE SEQUENCE public.accounts_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.accounts_id_seq OWNED BY public.accounts.id;
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.contacts (
    account_id integer NOT NULL,
    number_hash character varying(64) NOT NULL,
    sent_at bigint,
    received_at bigint,
    opted_out boolean NOT NULL,
    word_at bigint
);
CREATE TABLE public.orders (
    id character varying(12) NOT NULL,
    account_id integer NOT NULL,
    state character varying(10) NOT NULL,
    recipient text,
    sender text NOT NULL,
    text text,
    flash boolean NOT NULL,
    parts integer NOT NULL,
    encoding character varying(8) NOT NULL,
    price bigint NOT NULL,
    currency character varying(3) NOT NULL,
    findings text NOT NULL,
    approver character varying(10) NOT NULL,
    approval character varying(8),
    approved_at bigint,
    placed_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    due_at bigint NOT NULL,
    charge bigint NOT NULL,
    charged_at bigint NOT NULL,
    recipient_hash character varying(64),
    text_hash character varying(64),
    fingerprint character varying(64),
    key_hash character varying(64),
    attempts integer NOT NULL,
    attempted_at bigint,
    lease character varying(32),
    absent_at bigint,
    message_id character varying(100),
    message_status character varying(20),
    accepted_at bigint,
    cost bigint,
    fault text NOT NULL
);
CREATE TABLE public.state (
    name character varying(40) NOT NULL,
    value text NOT NULL
);
ALTER TABLE ONLY public.accounts ALTER COLUMN id SET DEFAULT nextval('public.accounts_id_seq'::regclass);
INSERT INTO public.accounts VALUES (1, 'http://localhost/a1', 'u1', 1795435260000000, NULL, NULL, 1795435200000000);
INSERT INTO public.alembic_version VALUES ('0001');
INSERT INTO public.contacts VALUES (1, 'c714114700c87cf51331ec1578ce489b10c14409b26811c6d7999ae1727a8af7', NULL, 1795435200000000, true, 1795435200000000);
INSERT INTO public.orders VALUES ('O-EYGZYDGC', 1, 'unknown', '+46701740605', '+46701740699', 'Unknown', false, 1, 'GSM-7', 5200, 'SEK', '[]', 'policy', NULL, NULL, 1795428000000000, 1795431660000000, 1795431660000000, 5200, 1795428000000000, '3b55665b4d44e4733c6ba751c7577844cab2e52d6b59ccddb9c55cf3584da12e', '2a92cb005445d7f26349bf594d10ec113d68778534e889d53bf4bd7fb356cc85', '633347afc4f2a4fc9e560fc520c19b6c366f528d5da1bc74ee2bc1d975bc9431', NULL, 1, 1795428000000000, NULL, NULL, NULL, NULL, NULL, NULL, 'It could not be found out within an hour.');
INSERT INTO public.orders VALUES ('O-275BKAPH', 1, 'sent', '+46701740605', '+46701740699', NULL, false, 1, 'GSM-7', 5200, 'SEK', '[]', 'policy', NULL, NULL, 1795435200000000, 1795435200000000, 1795435215000000, 10400, 1795435200000000, '3b55665b4d44e4733c6ba751c7577844cab2e52d6b59ccddb9c55cf3584da12e', '651fcc26ab82fe2d44bc751677dea25faade8c957fe8c87f37465d5d5fa24797', '5fa09c7921072e059ddc138d53996e66e884ccb43362c333b056b6514e9f0cf3', 'c7ab75624cfe9cca7d49da01579c3c34e5b4a860be939ebe7bc7163075682911', 1, 1795435200000000, '5de5464fb92a31dc47ec0f91a141510f', NULL, 's11111111111111111111111111111111', 'created', 1795435200000000, 10400, '');
INSERT INTO public.orders VALUES ('O-RTTJFXW2', 1, 'rejected', '+46701740606', '+46701740699', NULL, false, 1, 'GSM-7', 5200, 'SEK', '[]', 'policy', NULL, NULL, 1795435200000000, 1795435200000000, 1795435215000000, 0, 1795435200000000, 'fbce005d76921e540ddde9091458721ff5d2862e64d31b979a9764b56329594f', '3398867d9111e6e0455e0b524539445b3ca4194ca56b7150f7caa45acc167a10', '535357e778dda20c50ace7d1242cb8d0df578ccbbde05d4d0ec5dbd5afca61e5', NULL, 1, 1795435200000000, NULL, NULL, NULL, NULL, NULL, NULL, '46elks rejected it.');
INSERT INTO public.orders VALUES ('O-E24XT7GC', 1, 'cancelled', '+46701740606', '+46701740699', NULL, false, 1, 'GSM-7', 5200, 'SEK', '[]', 'policy', NULL, NULL, 1795435200000000, 1795435200000000, 1795435200000000, 0, 1795435200000000, 'fbce005d76921e540ddde9091458721ff5d2862e64d31b979a9764b56329594f', '24a256fa48f5fb4f0e40a03dcc2a13d31806ed698395d7228b60b64f578c7b4b', '9b780458b5d9447459d665b605d76b875b34b6609c40a1d97638b6df796d847d', NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'A person cancelled it.');
INSERT INTO public.orders VALUES ('O-7V7EB757', 1, 'in doubt', '+46701740605', '+46701740699', 'In doubt', false, 1, 'GSM-7', 5200, 'SEK', '[]', 'policy', NULL, NULL, 1795435260000000, 1795435260000000, 1795435260000000, 5200, 1795435260000000, '3b55665b4d44e4733c6ba751c7577844cab2e52d6b59ccddb9c55cf3584da12e', '4100735bc25ca63348ef6861991fd5f9e642331aa292501fe95552db674d5f7d', 'bff51e8132f9ae5b1de345822b7bedff78ce697a94ec582849d498b2561a8929', NULL, 1, 1795435260000000, '18452255ef001b6083a2926a5efeae6b', NULL, NULL, NULL, NULL, NULL, '46elks did not answer in time.');
INSERT INTO public.orders VALUES ('O-9D4KW9RK', 1, 'sending', '+46701740606', '+46701740699', 'Being sent', false, 1, 'GSM-7', 5200, 'SEK', '[]', 'policy', NULL, NULL, 1795435260000000, 1795435260000000, 1795435275000000, 5200, 1795435260000000, 'fbce005d76921e540ddde9091458721ff5d2862e64d31b979a9764b56329594f', 'f62bcc688de0b033a873a59567637460b43a88c447efdf9b821eea523b54fd3c', '781251ec4ae74bb76fba2daa315c5ce89d480c364c00ac51396d02c888489ee9', NULL, 1, 1795435260000000, 'b5ecae954dc297b51ddce6d30fbe3d83', NULL, NULL, NULL, NULL, NULL, '');
INSERT INTO public.orders VALUES ('O-KW22EXRW', 1, 'waiting', '+46701740605', '+46701740699', 'Waiting', false, 1, 'GSM-7', 5200, 'SEK', '[]', 'terminal', 'A-77K6', NULL, 1795435260000000, 1795435260000000, 1795437060000000, 0, 1795435260000000, '3b55665b4d44e4733c6ba751c7577844cab2e52d6b59ccddb9c55cf3584da12e', '5b941b9a05c58be44c98277763c61b0e10bb35164f937128e1fe1c0fe28ea8be', '2e1cff7425ab8e54364c8c5d019e74669ad929d83356bf59cc5e393dabd487b0', '8dbb1ecd4cf062b375bd5a8e53b6c63fcb9ac6e12f2e06368ea7904a4ebc80e4', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '');
INSERT INTO public.orders VALUES ('O-F8659KZ8', 1, 'queued', '+46701740606', '+46701740699', 'Queued', false, 1, 'GSM-7', 5200, 'SEK', '[]', 'policy', NULL, NULL, 1795435260000000, 1795435260000000, 1795435260000000, 5200, 1795435260000000, 'fbce005d76921e540ddde9091458721ff5d2862e64d31b979a9764b56329594f', 'cbabc08e5e0f6e5351a5f77feb119a06bbe4590ac16cad510f3bcb96005399d4', 'c117bef91041538cd727a03cdb917a1d8f731cde1d5228633158e6efd44c7714', '1d7f27b939bd902e84faae73140decd76ebc2934bd2d98e138f9be7a0225cc75', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '');
INSERT INTO public.state VALUES ('key', '716aefdb038458759ce1401e592d9a0712a601d0a109e53ac6e9ca7d54bf94d7');
SELECT pg_catalog.setval('public.accounts_id_seq', 1, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT pk_accounts PRIMARY KEY (id);
ALTER TABLE ONLY public.contacts
    ADD CONSTRAINT pk_contacts PRIMARY KEY (account_id, number_hash);
ALTER TABLE ONLY public.orders
    ADD CONSTRAINT pk_orders PRIMARY KEY (id);
ALTER TABLE ONLY public.state
    ADD CONSTRAINT pk_state PRIMARY KEY (name);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT uq_accounts_base_url_username UNIQUE (base_url, username);
CREATE INDEX ix_orders_charged ON public.orders USING btree (account_id, charged_at, charge);
CREATE INDEX ix_orders_like ON public.orders USING btree (account_id, fingerprint, changed_at);
CREATE INDEX ix_orders_state ON public.orders USING btree (account_id, state, due_at);
CREATE INDEX ix_orders_to ON public.orders USING btree (account_id, recipient_hash, charged_at);
CREATE UNIQUE INDEX uq_orders_approval ON public.orders USING btree (approval);
CREATE UNIQUE INDEX uq_orders_key ON public.orders USING btree (account_id, key_hash);
CREATE UNIQUE INDEX uq_orders_message ON public.orders USING btree (account_id, message_id);
ALTER TABLE ONLY public.contacts
    ADD CONSTRAINT fk_contacts_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.orders
    ADD CONSTRAINT fk_orders_account_id FOREIGN KEY (account_id) REFERENCES public.accounts(id);
