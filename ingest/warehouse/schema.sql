-- Schemas that programs write to: ops (what ran), raw (what the sources gave), sync (what the portals hold of ours),
-- transfer (the move from a cloud portal to one's own server).
-- Run whenever the warehouse is opened for writing and not all of this is there (schema.py): every statement leaves what
-- is there as it is.
-- All timestamps are UTC. The schemas of the models (staging, intermediate, marts, failures) are dbt's.

create schema if not exists ops;
create schema if not exists raw;
create schema if not exists sync;
create schema if not exists transfer;

create table if not exists ops.steps (
    run_id varchar not null,
    step varchar not null,
    started_at timestamp not null,
    finished_at timestamp,
    status varchar not null,
    rows_in bigint,
    rows_out bigint,
    detail json
);
comment on table ops.steps is 'One row per step of a run; one that was killed stays running until it is run again.';

create table if not exists ops.watermarks (
    source varchar primary key,
    position varchar not null,
    run_id varchar not null,
    updated_at timestamp not null
);
comment on table ops.watermarks is 'How far each source has been read; written in the transaction that lands the rows.';

create table if not exists ops.mart_sizes (
    mart varchar not null,
    row_count bigint not null,
    period_start timestamp not null,
    run_id varchar not null,
    measured_at timestamp not null
);
alter table ops.mart_sizes add column if not exists awaited_growth double; -- null: from before it was kept
comment on table ops.mart_sizes is
    'Rows of each mart after each run that passed its gates, and how many times as many there may be once the verdicts that were awaited then are there: what the next run is compared with.';

create table if not exists ops.mart_stamps (
    mart varchar not null,
    row_count bigint not null,
    row_hash hugeint not null, -- sum of the hashes of all rows: their order does not matter
    run_id varchar not null,
    step varchar not null,
    stamped_at timestamp not null
);
comment on table ops.mart_stamps is
    'The marts as the last full pass left them, all its tests passed: nothing else may be published.';

create table if not exists ops.dirty_fields (
    day date not null, -- in Moscow
    source varchar not null,
    field varchar not null,
    filled_count bigint not null,
    dirty_count bigint not null,
    primary key (day, source, field)
);
comment on table ops.dirty_fields is
    'How often each field of each shop was filled and wrong on each day with a full pass: analysis.dirty_fields_by_shop as it was.';

create table if not exists ops.model_builds (
    step varchar not null, -- of the journal
    raw_table varchar not null,
    row_count bigint not null,
    last_row bigint not null, -- its number in the table, -1: none
    last_ingested_at timestamp,
    basis varchar not null, -- digest of the project and of all else that the models read
    built_at timestamp not null,
    primary key (step, raw_table)
);
comment on table ops.model_builds is
    'How far into each raw table a pass over the models has seen: what is behind that is what a refresh looks at.';

create table if not exists ops.source_reads (
    source varchar not null,
    kind varchar not null,
    attempted_at timestamp not null,
    read_at timestamp, -- the last time that nothing of it failed
    failing_since timestamp, -- the first try since then that did not end well
    problem varchar,
    primary key (source, kind)
);
comment on table ops.source_reads is 'Whether each source could be read: when last, since when not, and why.';

create table if not exists ops.unset_sources (
    source varchar not null,
    kind varchar not null,
    read_at timestamp not null, -- the last time that nothing of it failed
    unset_since timestamp not null, -- the first run that found no setting of it
    primary key (source, kind)
);
comment on table ops.unset_sources is 'Sources that were read before and are set no longer: their records stay as they were.';

create table if not exists ops.portal_answers (
    portal varchar primary key, -- host[:port] of the webhook
    tried_at timestamp not null, -- by the last run, before its steps
    heard_at timestamp, -- the last time that it answered
    silent_since timestamp, -- the first try since then that it did not
    problem varchar
);
comment on table ops.portal_answers is 'Whether each portal answered when a run began: runs that have nothing to send ask it nothing else.';

create table if not exists ops.reconciliations (
    source varchar not null,
    table_name varchar not null,
    reconciled_at timestamp not null,
    ranges bigint not null, -- of keys, compared
    rows_read bigint not null, -- of those that differed
    rows_landed bigint not null,
    rows_gone bigint not null,
    seconds double not null,
    run_id varchar not null,
    primary key (source, table_name)
);
comment on table ops.reconciliations is
    'The last comparison of each table with its server, by counts and checksums of ranges of keys.';

create table if not exists ops.source_facts (
    source varchar not null,
    table_name varchar not null, -- empty: the server
    facts json not null,
    seen_at timestamp not null,
    primary key (source, table_name)
);
comment on table ops.source_facts is 'Who a server is and what columns its tables have: a change is told.';

create table if not exists ops.gaps (
    source varchar not null,
    place varchar not null, -- topic/partition
    first_offset bigint not null,
    last_offset bigint, -- null: nobody knows
    reason varchar not null,
    run_id varchar not null,
    noticed_at timestamp not null,
    repaired_at timestamp -- when a file that was made later had landed
);
comment on table ops.gaps is 'Messages that a topic no longer has and that were never read.';

create table if not exists ops.notices (
    problem varchar primary key, -- the step, or the source, by which it is known again
    text varchar not null,
    told_at timestamp not null
);
comment on table ops.notices is
    'What SVOD_NOTIFY_URL was told of and is not well yet: it is told once, and once when all is well again.';

create table if not exists ops.registry_failures (
    inn varchar primary key,
    times integer not null, -- one after another
    reason varchar not null,
    failed_at timestamp not null,
    next_at timestamp not null -- asked for again no sooner
);
comment on table ops.registry_failures is
    'INNs that the registry gave no answer for, until it does: each further time they wait twice as long.';

create table if not exists ops.follow (
    part varchar primary key, -- follow itself, a source as `shop_b (Kafka)`, registry, models, portal
    state varchar not null, -- works or paused
    since timestamp not null, -- of this state
    failures bigint not null, -- in a row
    next_try_at timestamp, -- of what is paused
    problem varchar,
    measured_at timestamp not null -- of follow itself: when it was last seen alive
);
comment on table ops.follow is 'What `publish follow` does and what of it is paused; as of its last sign of life.';

create table if not exists ops.lag (
    source varchar primary key,
    messages bigint, -- in the topic and not landed yet; null: its brokers do not answer
    seconds double not null, -- age of the oldest event that is not in the portal yet; 0: there is none
    oldest_at timestamp, -- the time of that event
    published_through timestamp, -- what had landed by then is in the portal, or was refused there
    measured_at timestamp not null
);
comment on table ops.lag is 'How far each topic is ahead of the portal, as `publish follow` last measured it.';

create table if not exists ops.period (
    starts_on date not null, -- in Moscow
    decided_at timestamp not null
);
comment on table ops.period is
    'Where the period begins unless SVOD_SINCE says it; one row. A new year does not move it, `publish run --move-period` does.';
insert into ops.period
select
    coalesce(
        (
            select (period_start at time zone 'UTC' at time zone 'Europe/Moscow')::date
            from ops.mart_sizes order by measured_at desc limit 1
        ),
        make_date(year(now() at time zone 'Europe/Moscow') - 1, 1, 1)
    ),
    now() at time zone 'UTC'
where not exists (from ops.period);

create table if not exists ops.warehouse (
    warehouse_id uuid not null,
    made_at timestamp not null
);
comment on table ops.warehouse is 'One row: the id of this warehouse, by which portals know who wrote to them.';
insert into ops.warehouse
select uuid(), now()::timestamp
where not exists (from ops.warehouse);

create table if not exists ops.forgotten (
    digest varchar not null, -- HMAC-SHA256 under the key beside the warehouse
    mark varchar not null, -- 16 bits of a cheaper keyed hash, looked at first
    kind varchar not null, -- value, shared, named, record; key: of a text that everybody knows
    act varchar not null,
    forgotten_at timestamp not null
);
comment on table ops.forgotten is
    'By what people who were erased are known again when a source brings them back: keyed hashes, nothing else.';

create table if not exists ops.acts_of_forgetting (
    act varchar primary key,
    asked varchar not null, -- masked
    asked_at timestamp not null,
    run_id varchar not null,
    people integer not null,
    erased json not null, -- table -> rows
    cards json not null, -- of each: portal, bitrix_id, state (listed, to_delete, to_empty, deleted, emptied, gone)
    space_given_back_at timestamp,
    finished_at timestamp
);
comment on table ops.acts_of_forgetting is
    'One row per request to be forgotten: what was erased, which cards there are. No personal data.';

drop table if exists raw.envelope; -- from before its payloads were compressed
create table if not exists raw.envelope (
    payload json using compression zstd, -- a sixth of the space, and most of raw is this
    source_key varchar,
    source_at timestamp, -- the source's own time of change, unconverted
    source_position varchar not null,
    run_id varchar not null,
    ingested_at timestamp not null
);
comment on table raw.envelope is 'The shape of every raw table, which is made as a copy of this one, payloads compressed; always empty.';

create table if not exists raw.dead_letters (
    source varchar not null,
    source_position varchar not null,
    reason varchar not null,
    payload blob,
    run_id varchar not null,
    ingested_at timestamp not null
);
comment on table raw.dead_letters is 'Input that could not be landed, as bytes, with its place and the reason.';

create table if not exists ops.snapshots (
    source varchar not null,
    snapshot_id bigint not null,
    portal varchar not null, -- host[:port] of the webhook
    label varchar not null,
    started_at timestamp not null,
    completed_at timestamp, -- null: under way, or broken off
    detail json, -- by entity: records read, landed, gone
    primary key (source, snapshot_id)
);
alter table ops.snapshots add column if not exists reads_all boolean; -- parts of all owners, not of changed ones alone
comment on table ops.snapshots is
    'Sources that are read whole, such as a portal to move from: every complete snapshot, and the one under way.';

create table if not exists ops.snapshot_keys (
    source varchar not null,
    entity varchar not null,
    source_key varchar not null,
    digest varchar not null, -- of what counts of the content; empty: an owner without parts
    from_snapshot bigint not null, -- the first complete snapshot with this version: source_position of its raw row
    to_snapshot bigint -- the first complete snapshot without it; null: the newest has it
);
comment on table ops.snapshot_keys is
    'Versions of records of sources that are read whole: a record was there in a snapshot from from_snapshot on and before to_snapshot. One with no version in the newest complete snapshot is gone, if both snapshots are of one portal.';

create table if not exists ops.snapshot_reads (
    source varchar not null,
    entity varchar not null,
    position json not null,
    is_done boolean not null,
    primary key (source, entity)
);
comment on table ops.snapshot_reads is 'How far the snapshot under way has been read.';

create table if not exists ops.snapshot_rows (
    source varchar not null,
    entity varchar not null,
    source_key varchar not null,
    changed_at timestamp, -- the source's own time of change, unconverted
    active_at timestamp,
    digest varchar not null,
    payload varchar -- null where it is what was landed last
);
comment on table ops.snapshot_rows is 'Rows of the snapshot under way; landed when it is complete.';

create table if not exists sync.portals (
    portal varchar primary key, -- host[:port] of the webhook
    url varchar not null, -- without its path, which is a secret
    mark varchar, -- the id that the publisher keeps in the portal
    counter bigint not null, -- the mark's number as last written: odd while a push is under way
    intended bigint not null, -- the number about to be written
    restored_at bigint, -- the number that a portal put back from a copy had, until it is brought up to date
    mark_refused_at timestamp, -- since when the portal has not let us write the mark
    filled_at timestamp, -- when a push first ended without an error and the portal held something of ours
    first_seen_at timestamp not null,
    last_seen_at timestamp not null
);
comment on table sync.portals is
    'Portals that this warehouse publishes to: how each is known again, and how many pushes it has had.';
alter table sync.portals add column if not exists deletions_told_at timestamp; -- dead letters of before were looked into

create table if not exists sync.ledger (
    portal varchar not null, -- host[:port] of the webhook
    entity varchar not null,
    origin_id varchar not null,
    bitrix_id bigint,
    sent json not null,
    wanted json not null,
    is_adopted boolean not null,
    synced_at timestamp not null,
    primary key (portal, entity, origin_id)
);
alter table sync.ledger add column if not exists known_since timestamp; -- null: from before it was kept
-- The numbers of the portal's mark in the pushes of these two times, which a clock that is put back does not change.
alter table sync.ledger add column if not exists known_in bigint; -- null: from before it was kept, or another portal's
alter table sync.ledger add column if not exists synced_in bigint; -- likewise
comment on table sync.ledger is
    'Parts that a portal holds of ours: its id there, the fields last sent, the wanted fields last dealt with.';

create table if not exists sync.intents (
    portal varchar not null,
    entity varchar not null,
    origin_id varchar not null,
    owner_id bigint,
    wanted json not null,
    links varchar[],
    intended_at timestamp not null
);
comment on table sync.intents is 'Creates whose answer has not been seen yet; looked up before anything is sent again.';

create table if not exists sync.updates_under_way (
    portal varchar not null,
    entity varchar not null,
    origin_id varchar not null,
    sent json not null,
    sent_at timestamp not null
);
comment on table sync.updates_under_way is
    'What was being sent of a published part when nobody saw the answer: a value of ours, should the portal show it.';

create table if not exists sync.merges_under_way (
    portal varchar not null,
    entity varchar not null,
    origin_id varchar not null,
    created_time varchar not null, -- of the card, as the portal tells it
    begun_at timestamp not null,
    primary key (portal, entity, origin_id)
);
comment on table sync.merges_under_way is
    'Cards that were emptied of all that is ours, for the portal to join them with others, and that may stand so.';

create table if not exists sync.dead_letters (
    portal varchar not null,
    entity varchar not null,
    origin_id varchar not null,
    error varchar not null,
    error_description varchar not null,
    attempts integer not null,
    last_at timestamp not null,
    next_at timestamp not null,
    wanted json not null,
    primary key (portal, entity, origin_id)
);
comment on table sync.dead_letters is
    'What a portal refused; tried again at next_at (infinity: discarded), or at once when the record changes.';

create table if not exists sync.deletions (
    portal varchar not null,
    entity varchar not null,
    origin_id varchar not null,
    bitrix_id bigint,
    noticed_at timestamp not null,
    is_wanted_again boolean not null,
    primary key (portal, entity, origin_id)
);
comment on table sync.deletions is
    'Parts of ours that somebody deleted in a portal; they stay away until `publish retry` asks for them again.';

create table if not exists sync.confirmed_plans (
    portal varchar primary key,
    part_counts json not null, -- entity -> parts
    confirmed_at timestamp not null
);
comment on table sync.confirmed_plans is
    'A plan above the change limit that an operator let through and that has not been sent to its end.';

create table if not exists sync.conflicts (
    portal varchar not null,
    entity varchar not null,
    origin_id varchar not null,
    field varchar not null,
    bitrix_id bigint,
    last_sent varchar,
    in_portal varchar,
    wanted varchar,
    noticed_at timestamp not null,
    primary key (portal, entity, origin_id, field)
);
comment on table sync.conflicts is 'Fields that a manager changed in a portal and that we left as they are.';

create table if not exists sync.adoption_duplicates (
    portal varchar not null,
    entity varchar not null,
    origin_id varchar not null,
    found_by varchar not null,
    bitrix_ids bigint[] not null,
    noticed_at timestamp not null,
    primary key (portal, entity, origin_id)
);
comment on table sync.adoption_duplicates is
    'Records that several cards of a portal could be; a person has to join those.';

create table if not exists sync.choices (
    portal varchar not null,
    entity varchar not null,
    field varchar not null,
    ours varchar not null, -- a status, or how a record left
    theirs varchar not null, -- the stage that stood for it
    known_since timestamp not null,
    primary key (portal, entity, field, ours, theirs)
);
comment on table sync.choices is
    'Stages of a portal that ever stood for a status of ours, by its lists and the settings: a card in one is where we put it.';

create table if not exists sync.history (
    portal varchar not null,
    entity varchar not null,
    origin_id varchar not null,
    action varchar not null, -- update, remove, lost (with an older copy of the portal), unseen (nobody saw the answer)
    sent_before json,
    sent json,
    push bigint not null, -- the number of the portal's mark in that push, 0 where there is none
    run_id varchar not null,
    sent_at timestamp not null
);
comment on table sync.history is
    'Parts changed or taken away, with what was sent before and after: tells ours in a portal put back from a copy.';

create table if not exists transfer.parts (
    name varchar primary key, -- the file's name: links are secrets and change, a part keeps it
    archive varchar not null, -- the name of the first part
    number integer not null, -- 0 is the first
    bytes bigint, -- null: not known yet
    unpacked_bytes bigint,
    sha256 varchar,
    proof varchar, -- what was proven: crc, size, order; null: not all there
    problem varchar, -- why it did not come in its last run
    attempts integer not null, -- requests made for it; a run that is killed may lose its last half minute
    fetched_bytes bigint not null, -- over the network, likewise
    rate double, -- bytes a second while it was last fetched
    run_id varchar not null,
    updated_at timestamp not null
);
comment on table transfer.parts is
    'Parts of the backup of a cloud portal: what was fetched and proven of each, and what it took.';

create table if not exists transfer.ledger (
    portal varchar not null, -- host[:port] of the box's webhook
    source_portal varchar not null, -- host[:port] of the portal that the records come from
    entity varchar not null,
    origin_id varchar not null,
    bitrix_id bigint,
    sent json not null,
    wanted json not null,
    is_adopted boolean not null,
    synced_at timestamp not null,
    primary key (portal, source_portal, entity, origin_id)
);
alter table transfer.ledger add column if not exists known_since timestamp; -- null: from before it was kept
alter table transfer.ledger add column if not exists known_in bigint; -- as in sync.ledger
alter table transfer.ledger add column if not exists synced_in bigint;
comment on table transfer.ledger is
    'Records that a move has created, changed or deleted in a box: ids of those that it made there; of what was dealt with a digest, no value of a person.';

create table if not exists transfer.intents (
    portal varchar not null, -- host[:port] of the box's webhook
    source_portal varchar not null, -- host[:port] of the portal that the records come from
    entity varchar not null,
    origin_id varchar not null,
    owner_id bigint,
    wanted json not null,
    links varchar[],
    intended_at timestamp not null
);
comment on table transfer.intents is 'Creates of a move whose answer has not been seen yet.';

create table if not exists transfer.dead_letters (
    portal varchar not null, -- host[:port] of the box's webhook
    source_portal varchar not null, -- host[:port] of the portal that the records come from
    entity varchar not null,
    origin_id varchar not null,
    error varchar not null,
    error_description varchar not null,
    attempts integer not null,
    last_at timestamp not null,
    next_at timestamp not null,
    wanted json not null,
    primary key (portal, source_portal, entity, origin_id)
);
comment on table transfer.dead_letters is
    'What a box refused of a move, or what points to a record that is not there; tried again at next_at, or at once when the record changes.';

create table if not exists transfer.history (
    portal varchar not null, -- host[:port] of the box's webhook
    source_portal varchar not null, -- host[:port] of the portal that the records come from
    entity varchar not null,
    origin_id varchar not null,
    action varchar not null, -- update, remove, lost (with an older copy of the portal), unseen (nobody saw the answer)
    sent_before json,
    sent json,
    push bigint not null, -- the number of the portal's mark in that push, 0 where there is none
    run_id varchar not null,
    sent_at timestamp not null
);
comment on table transfer.history is 'Records that a move changed or took away.';

create table if not exists transfer.delivered (
    portal varchar not null, -- host[:port] of the box's webhook
    source_portal varchar not null, -- host[:port] of the portal that the records come from
    entity varchar not null,
    source_id varchar not null,
    field varchar not null, -- '': all that it had when it was made
    snapshot_id bigint not null, -- of the cloud: what it said then is what was sent
    primary key (portal, source_portal, entity, source_id, field)
);
comment on table transfer.delivered is
    'As of which reading of the cloud the fields of a record were sent last: what the box has otherwise since then is the work of its people.';

create table if not exists transfer.unseen_pushes (
    portal varchar not null, -- host[:port] of the box's webhook
    mark varchar not null, -- the mark in it: sync.portals
    number bigint not null, -- of the mark, as it was found
    user_id varchar not null, -- of the box, as whom the webhook writes
    since timestamp not null, -- by the box's clock, UTC: what this warehouse did last
    until timestamp not null, -- when the last of them ended
    primary key (portal, mark, number)
);
comment on table transfer.unseen_pushes is
    'Times in which a box was written to that this warehouse knows nothing of, for it was put back from an older copy: what that user changed then is the work of the move.';

create table if not exists transfer.id_map (
    target varchar not null, -- host[:port] of the portal, # and the mark in it: sync.portals
    source_portal varchar not null, -- host[:port]
    entity varchar not null,
    source_id varchar not null,
    target_id bigint not null,
    proof varchar not null, -- created_by_us, adopted, by_hand
    proven_at timestamp not null,
    primary key (target, source_portal, entity, source_id)
);
comment on table transfer.id_map is
    'Which record of the portal that a company moves to is which of the one it leaves, where that was written down; what ids and times of creation prove is worked out anew each time.';

create table if not exists transfer.boxes (
    portal varchar not null, -- host[:port] of the box's webhook
    mark varchar not null, -- the mark in it: sync.portals
    source_portal varchar, -- host[:port] of the portal that is left
    baseline_snapshot bigint, -- of the box, right after the restore; null: nothing was restored
    baseline_at timestamp, -- when the baseline was accepted; null: there is none
    automation_off_at timestamp, -- when somebody said that nothing starts by itself there
    primary key (portal, mark)
);
alter table transfer.boxes add column if not exists user_id varchar; -- of the box, as whom the last push wrote
comment on table transfer.boxes is
    'Portals that a company moves to: what is the baseline of each, and whether somebody said that its automation is off.';

create table if not exists transfer.journal (
    step varchar not null, -- of ingest/warehouse/checklist.csv, or any other
    started_at timestamp not null,
    finished_at timestamp not null,
    note varchar not null,
    written_at timestamp not null
);
comment on table transfer.journal is 'What people did for a move, and how long it took them: `ingest journal add`.';

create table if not exists transfer.files (
    portal varchar not null, -- host[:port]
    entity varchar not null, -- lead, deal, contact, company, activity, comment
    source_key varchar not null, -- the record that shows it, of this portal
    field varchar not null,
    file_id varchar not null,
    name varchar,
    bytes bigint,
    sha256 varchar, -- null: could not be read
    problem varchar, -- why not
    run_id varchar not null,
    read_at timestamp not null,
    primary key (portal, entity, file_id)
);
comment on table transfer.files is
    'Files of records that are not as they were restored, by their content. Contents of the cloud''s that the box lacks are kept beside the warehouse, in transfer/files.';
