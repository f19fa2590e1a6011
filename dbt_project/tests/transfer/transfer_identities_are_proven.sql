-- Of the cards that the cloud had when the backup was made, at least 99.9 % are in the restored box with their id and
-- time of creation; otherwise the restore gave out other ids and nothing may be written.
select * from {{ ref('int_transfer__restore_proof') }}
where proven_count < 0.999 * expected_count
