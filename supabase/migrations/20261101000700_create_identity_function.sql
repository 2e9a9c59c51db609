-- Purpose: the identity of money. Rows that Fanvue lists are matched to ledger rows, so that each is counted once,
-- whichever way and however often it arrives, with or without an id.
-- Who may call: commit_sync_page (service_role), under the model's lock.
-- Matching is decided inside one instant (millisecond) of one model; Fanvue promises no row-unique id:
--   1. same id, same instant, same values             the same row
--   2. same id, same instant, other values            the same row, amended
--   3. same instant and values, one side without id   the same row, whose id is now known (or not sent)
--   4. a row of which a part could not be read, now or then, same instant and amount, no contradiction: the same row
--   5. a row named by the hash of what was listed, whose values no longer are that: the same row, amended
--   6. an older application's row, same instant and amount, without Fanvue's details: the same row
-- What is left is new. A second row under one id gets the id with #<hash>; a row without id its hash with an ordinal.

-- Webhooks announce money before the API lists it. Such a provisional row becomes the API's row: same primary key, the
-- API's id, instant and amounts. By id first; else same fan, same money (gross or net; in another currency the fan's
-- currency), same content, within five minutes. A row that the ledger already has from the API is nobody's confirmation.
create or replace function private.confirm_provisional(
  p_model_id uuid, p_rows jsonb, p_now timestamptz, out confirmed integer, out amount numeric)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  v_tolerance constant interval := interval '5 minutes';
  v_taken bigint[] := '{}'::bigint[];
  v_from timestamptz;
  v_until timestamptz;
  v_ids text[];
  v_provisional public.fanvue_transactions;
  v_row record;
  v_name text;
begin
  confirmed := 0;
  amount := 0.00;
  select min((r ->> 'at')::timestamptz) - v_tolerance, max((r ->> 'at')::timestamptz) + v_tolerance, array_agg(r ->> 'fanvue_id')
  into v_from, v_until, v_ids
  from jsonb_array_elements(p_rows) r;
  for v_provisional in
    select t.*
    from public.fanvue_transactions t
    where t.model_id = p_model_id and t.origin = 'webhook'
      -- whom this page can concern
      and (t.fanvue_created_at between v_from and v_until or t.fanvue_id = any (v_ids)
           or t.category in ('refund', 'chargeback'))
    -- sales first: what reverses one learns its name. Then whoever finds all its details listed: a row that lacks one must not
    -- go to an announcement that has it while another one has it not.
    order by t.category in ('refund', 'chargeback'),
             not exists (select from jsonb_populate_recordset(null::private.listed_transaction, p_rows) r
                         where (r.amount, r.fan_uuid, r.message_uuid, r.post_uuid) is not distinct from (t.amount, t.fan_uuid, t.message_uuid, t.post_uuid)),
             t.fanvue_created_at, t.id
  loop
    with listed as (
      select x.ordinality as n, x.*,
             private.transaction_values(x.source, x.amount, x.net, x.currency, x.fan_uuid, x.message_uuid, x.post_uuid) as facts,
             private.transaction_values(x.source, x.amount, x.net, x.currency, coalesce(x.sent_fan, x.fan_uuid), x.message_uuid, x.post_uuid) as named
      from jsonb_populate_recordset(null::private.listed_transaction, p_rows) with ordinality x
    ), numbered as (
      select l.*, row_number() over (partition by l.at, l.facts, l.fanvue_id is null order by l.n) as place
      from listed l
    )
    select i.*, private.transaction_hash(i.at, i.named) as hash into v_row
    from numbered i
    where i.n <> all (v_taken) and i.recalled is null
      and (i.category in ('refund', 'chargeback')) = (v_provisional.category in ('refund', 'chargeback'))
      and (i.fanvue_id = v_provisional.fanvue_id
           -- a row that another announcement names is that one's
           or (not exists (select from public.fanvue_transactions t
                           where t.model_id = p_model_id and t.fanvue_id = i.fanvue_id and t.origin = 'webhook'
                             and (t.category in ('refund', 'chargeback')) = (i.category in ('refund', 'chargeback')))
               and (i.at between v_provisional.fanvue_created_at - v_tolerance and v_provisional.fanvue_created_at + v_tolerance
                    -- a dispute may be booked days after it began: a reversal is known by its sale, too
                    or (i.category = v_provisional.category and i.category in ('refund', 'chargeback')
                        and i.reverses_fanvue_id = (select t.reverses_fanvue_id from public.fanvue_transactions t
                                                    where t.id = v_provisional.id)))
               and (i.fan_uuid = v_provisional.fan_uuid or i.fan_uuid is null or v_provisional.fan_uuid is null)
               and (i.message_uuid = v_provisional.message_uuid or i.message_uuid is null or v_provisional.message_uuid is null)
               and (i.post_uuid = v_provisional.post_uuid or i.post_uuid is null or v_provisional.post_uuid is null)
               and case when v_provisional.sent_minor_units is null
                        then private.same_money(i.amount, i.net, v_provisional.amount, v_provisional.net_amount,
                                                v_provisional.category in ('refund', 'chargeback'))
                             -- flat bodies do not say in which currency they speak
                             or (v_provisional.currency is null and coalesce(i.currency, 'USD') <> 'USD')
                        else coalesce(i.currency = v_provisional.sent_currency, true) end))
      -- what the API has told before confirms nothing new
      and case when i.fanvue_id is not null
               then not exists (select from public.fanvue_transactions t
                                where t.model_id = p_model_id and t.origin = 'api' and t.fanvue_created_at = i.at
                                  and (t.fanvue_id in (i.fanvue_id, i.fanvue_id || '#' || left(private.transaction_hash(i.at, i.named), 8))
                                       or (t.fanvue_id like 'h:%' and t.amount = i.amount)
                                       or t.fanvue_id like 'h:' || private.transaction_hash(i.at, i.named) || ':%'
                                       or (t.source is null and t.net_amount is null and t.amount = i.amount)))
               else i.place > (select count(*) from public.fanvue_transactions t
                               where t.model_id = p_model_id and t.origin = 'api' and t.fanvue_created_at = i.at
                                 -- by its facts; by its name, unless its facts are those of another row here
                                 and case private.transaction_values(t.source, t.amount, t.net_amount, t.currency, t.fan_uuid, t.message_uuid, t.post_uuid)
                                       when i.facts then true
                                       else t.fanvue_id like 'h:' || private.transaction_hash(i.at, i.named) || ':%'
                                            and not exists (select from numbered o
                                                            where o.at = i.at
                                                              and o.facts = private.transaction_values(t.source, t.amount, t.net_amount, t.currency,
                                                                                                       t.fan_uuid, t.message_uuid, t.post_uuid)) end) end
    order by i.fanvue_id is not distinct from v_provisional.fanvue_id desc,
             (i.message_uuid is distinct from v_provisional.message_uuid)::integer
               + (i.post_uuid is distinct from v_provisional.post_uuid)::integer
               + (i.category is distinct from v_provisional.category)::integer + (i.amount <> v_provisional.amount)::integer,
             abs(extract(epoch from i.at - v_provisional.fanvue_created_at)), i.n
    limit 1;
    continue when not found;
    v_taken := array_append(v_taken, v_row.n::bigint);
    update public.fanvue_transactions t
    set fanvue_id = case
          when v_row.fanvue_id is null then 'h:' || v_row.hash || ':' || (
            select coalesce(max(split_part(o.fanvue_id, ':', 3)::integer), 0) + 1
            from public.fanvue_transactions o
            where o.model_id = p_model_id and o.fanvue_created_at = v_row.at and o.fanvue_id like 'h:' || v_row.hash || ':%')
          when exists (select
                       from (select x.id, x.fanvue_id, x.model_id from public.fanvue_transactions x
                             where (x.fanvue_id, x.model_id) >= (v_row.fanvue_id, p_model_id) order by x.fanvue_id, x.model_id limit 1) o
                       where o.fanvue_id = v_row.fanvue_id and o.model_id = p_model_id and o.id <> t.id)
            then v_row.fanvue_id || '#' || left(v_row.hash, 8)
          else v_row.fanvue_id end,
        -- the API may leave out what the webhook told
        fanvue_created_at = v_row.at, amount = v_row.amount, net_amount = v_row.net, currency = coalesce(v_row.currency, t.currency),
        source = coalesce(nullif(v_row.source, 'unknown'), t.source, v_row.source),
        category = case when v_row.source = 'unknown' then coalesce(t.category, v_row.category) else v_row.category end, status = v_row.status,
        fan_uuid = coalesce(v_row.fan_uuid, t.fan_uuid), fan_handle = coalesce(v_row.fan_handle, t.fan_handle),
        message_uuid = coalesce(v_row.message_uuid, t.message_uuid), post_uuid = coalesce(v_row.post_uuid, t.post_uuid),
        reverses_fanvue_id = coalesce(v_row.reverses_fanvue_id, t.reverses_fanvue_id), origin = 'api', synced_at = p_now
    where t.id = v_provisional.id
    returning t.fanvue_id into v_name;
    if v_name <> v_provisional.fanvue_id then
      -- what reverses it names it by its new name
      update public.fanvue_transactions t
      set reverses_fanvue_id = v_name
      where t.model_id = p_model_id and t.fanvue_created_at >= v_provisional.fanvue_created_at - v_tolerance
        and t.reverses_fanvue_id = v_provisional.fanvue_id;
    end if;
    confirmed := confirmed + 1;
    amount := amount + v_row.amount - v_provisional.amount;
  end loop;
end
$$;
comment on function private.confirm_provisional(uuid, jsonb, timestamptz) is
  'Lets rows that webhooks announced become the API''s rows of this page. Returns how many, and the change of the total in US dollars.';
revoke all on function private.confirm_provisional(uuid, jsonb, timestamptz) from public, anon, authenticated;
grant execute on function private.confirm_provisional(uuid, jsonb, timestamptz) to service_role;

create or replace function private.apply_transactions(
  p_agency_id uuid, p_model_id uuid, p_rows jsonb, p_border uuid[], p_now timestamptz,
  out inserted integer, out updated integer, out unchanged integer, out amount numeric,
  out listed uuid[], out added uuid[], out before jsonb)
language plpgsql
set search_path = ''
-- plans must not depend on statistics that were taken while the ledger was small, and are dear to make
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  v_confirmed record;
  v_matched record;
  -- the page, read once: its JSON is dear to read
  v_rows private.listed_transaction[] := array(select x from jsonb_populate_recordset(null::private.listed_transaction, p_rows) x);
  -- rows of the page by their place: to be matched below, and new beyond doubt
  v_odd bigint[];
  v_fresh bigint[];
  v_is_awaited boolean;
  v_money numeric;
begin
  perform private.lock_model(p_model_id);
  inserted := 0;
  updated := 0;
  amount := 0.00;
  added := '{}';
  v_is_awaited := exists (select from public.fanvue_transactions t where t.model_id = p_model_id and t.origin = 'webhook');
  if v_is_awaited or private.has_erased_fans(p_agency_id)
     or (select string_agg(concat_ws(' ', x.fanvue_id, x.reverses_fanvue_id, x.fan_uuid, x.message_uuid, x.post_uuid), ' ') ~ '[[:upper:]]'
                or string_agg(x.currency, ' ') ~ '[[:lower:]]' from unnest(v_rows) x) then
    p_rows := private.hide_erased_fans(p_agency_id, private.fold_ids(p_rows));
    if v_is_awaited then
      -- what is known again confirms nothing new
      p_rows := private.recall_rows(p_model_id, p_rows, p_border);
      -- each announcement is compared with all rows at hand: some fifty at a time, and those of an instant together;
      -- sales first, whose new number finds their reversals
      for v_confirmed in
        select c.confirmed, c.amount
        from (select jsonb_agg(x.item order by x.n) as items
              from (select r.item, r.ordinality as n, min(r.ordinality - 1) over (partition by r.item ->> 'at') as first,
                           r.item ->> 'category' in ('refund', 'chargeback') as is_reversal
                    from jsonb_array_elements(p_rows) with ordinality r(item, ordinality)) x
              group by x.is_reversal, x.first / 50 order by x.is_reversal, x.first / 50) p
        cross join lateral private.confirm_provisional(p_model_id, p.items, p_now) c
      loop
        updated := updated + v_confirmed.confirmed;
        amount := amount + v_confirmed.amount;
      end loop;
    end if;
    v_rows := array(select x from jsonb_populate_recordset(null::private.listed_transaction, p_rows) x);
  end if;
  -- Nearly every row is plain: it bears an id of its own, and either stands in the ledger as it is listed, or is new, at an
  -- instant of which nothing is known but what the page lists just so. Such rows need no matching; the others are odd, and
  -- with them all that is listed for their instants.
  with listed as materialized (
    select x.ordinality as n, x.* from unnest(v_rows) with ordinality x
  ), pairs as materialized (
    select l.n, l.at, s.id,
           s.fanvue_id = l.fanvue_id and s.origin = 'api'
           and (s.amount, s.net_amount, s.currency, s.source, s.category, s.status, s.fan_uuid, s.fan_handle, s.message_uuid, s.post_uuid, s.reverses_fanvue_id)
               is not distinct from
               (l.amount, l.net, l.currency, l.source, l.category, l.status, l.fan_uuid, l.fan_handle, l.message_uuid, l.post_uuid, l.reverses_fanvue_id) as alike
    from listed l
    cross join lateral (select x.* from public.fanvue_transactions x
                        where x.model_id = p_model_id and x.fanvue_created_at = l.at offset 0) s
  ), fresh as materialized (
    select l.n, l.at, l.fanvue_id from listed l where l.n <> all (array(select p.n from pairs p where p.alike))
  ), odd as materialized (
    select l.at
    from (select l.at, l.recalled, l.fanvue_id, count(*) over (partition by l.fanvue_id) as times from listed l) l
    where l.fanvue_id is null or l.times > 1 or l.recalled is not null
    union all
    select p.at from pairs p group by p.at, p.id having not bool_or(p.alike)
    union all
    select f.at
    from fresh f
    -- in a form that the index of both alone can answer
    cross join lateral (select x.fanvue_id, x.model_id from public.fanvue_transactions x
                        where (x.fanvue_id, x.model_id) >= (f.fanvue_id, p_model_id) order by x.fanvue_id, x.model_id limit 1) t
    where t.fanvue_id = f.fanvue_id and t.model_id = p_model_id
  )
  select array(select l.n from listed l where l.at in (select o.at from odd o)),
         -- a row without its instant is written, and the table refuses it
         array(select f.n from fresh f where f.at is null or f.at not in (select o.at from odd o where o.at is not null)),
         array(select p.id from pairs p where p.alike and p.at not in (select o.at from odd o where o.at is not null))
  into v_odd, v_fresh, listed;
  -- a confirmed row was written above and found unchanged here
  unchanged := cardinality(listed) - updated;
  -- A statement that adds nothing would wake every trigger of the ledger all the same.
  if v_fresh <> '{}' then
    with added as (
      insert into public.fanvue_transactions (
        agency_id, model_id, fanvue_id, amount, net_amount, currency, source, category, status, fan_uuid, fan_handle,
        message_uuid, post_uuid, reverses_fanvue_id, origin, fanvue_created_at, synced_at, created_at)
      select p_agency_id, p_model_id, x.fanvue_id, x.amount, x.net, x.currency, x.source, x.category, x.status, x.fan_uuid,
             x.fan_handle, x.message_uuid, x.post_uuid, x.reverses_fanvue_id, 'api', x.at, p_now, p_now
      from unnest(v_rows) with ordinality x
      where x.ordinality = any (v_fresh)
      returning fanvue_transactions.id, fanvue_transactions.amount
    )
    select array_agg(a.id), sum(a.amount) into added, v_money from added a;
    inserted := cardinality(added);
    amount := amount + v_money;
    listed := listed || added;
  end if;
  if v_odd = '{}' then
    return;
  end if;
  -- Matching is decided inside one instant, and no id of these rows is an id of the others.
  select jsonb_agg(r.item order by r.ordinality) into p_rows
  from jsonb_array_elements(p_rows) with ordinality r(item, ordinality)
  where r.ordinality = any (v_odd);
  if not v_is_awaited then
    p_rows := private.recall_rows(p_model_id, p_rows, p_border);
  end if;
  with listed as (
    select x.ordinality as n, x.recalled, x.fanvue_id, x.source, x.category, x.amount, x.net, x.currency, x.status,
           x.fan_uuid, x.fan_handle, x.message_uuid, x.post_uuid, x.reverses_fanvue_id, x.at,
           private.transaction_values(x.source, x.amount, x.net, x.currency, x.fan_uuid, x.message_uuid, x.post_uuid) as facts,
           -- names are made of what Fanvue sends: they outlive the erasure of a fan
           private.transaction_values(x.source, x.amount, x.net, x.currency, coalesce(x.sent_fan, x.fan_uuid), x.message_uuid, x.post_uuid) as named
    from jsonb_populate_recordset(null::private.listed_transaction, p_rows) with ordinality x
  ), incoming as (
    -- the same id with the same facts twice in one page is one row; rows without id are counted as they stand
    select distinct on (coalesce(l.fanvue_id, 'n' || l.n), l.at, l.facts) l.*,
           private.transaction_hash(l.at, l.named) as hash
    from listed l
    order by coalesce(l.fanvue_id, 'n' || l.n), l.at, l.facts, l.n
  ), stored as (
    select t.*, private.transaction_values(t.source, t.amount, t.net_amount, t.currency, t.fan_uuid, t.message_uuid, t.post_uuid) as facts
    from (select distinct i.at from incoming i) a
    -- fenced: one index probe per instant and per id, whatever the statistics say
    cross join lateral (select x.* from public.fanvue_transactions x
                        where x.model_id = p_model_id and x.fanvue_created_at = a.at offset 0) t
    union all
    select t.*, null
    from (select distinct i.fanvue_id from incoming i where i.fanvue_id is not null) d
    cross join lateral (select x.* from public.fanvue_transactions x
                        -- in a form that the index of both alone can answer
                        where (x.fanvue_id, x.model_id) >= (d.fanvue_id, p_model_id) order by x.fanvue_id, x.model_id limit 1) t
    where t.fanvue_id = d.fanvue_id and t.model_id = p_model_id and t.fanvue_created_at not in (select i.at from incoming i)
  ), same as (
    select i.n, s.id
    from incoming i
    join stored s on s.fanvue_created_at = i.at and s.facts = i.facts
                 and s.fanvue_id in (i.fanvue_id, i.fanvue_id || '#' || left(i.hash, 8))
  ), recalled as (
    select i.n, i.recalled as id from incoming i where i.recalled is not null
  ), loose_in as (
    select i.n, i.at, i.facts, i.fanvue_id is null as nameless,
           row_number() over (partition by i.at, i.facts, i.fanvue_id is null order by i.n) as place
    from incoming i
    where i.recalled is null and not exists (select from same k where k.n = i.n)
  ), loose_stored as (
    select s.id, s.fanvue_created_at as at, s.facts, s.fanvue_id like 'h:%' as nameless, s.fanvue_id,
           row_number() over (partition by s.fanvue_created_at, s.facts, s.fanvue_id like 'h:%' order by s.fanvue_id) as place
    from stored s
    -- an announcement becomes a row above, or not at all
    where s.facts is not null and s.origin = 'api'
      and not exists (select from same k where k.id = s.id) and not exists (select from recalled k where k.id = s.id)
  ), given_id as (
    -- a row without an id is given one
    select i.n, s.id
    from loose_in i
    join loose_stored s on s.at = i.at and s.facts = i.facts and s.place = i.place
    where not i.nameless and s.nameless
  ), sent_without_id as (
    -- a row that comes without an id may be any of the equal ones that are left
    select i.n, s.id
    from loose_in i
    join (select l.id, l.at, l.facts,
                 row_number() over (partition by l.at, l.facts order by not l.nameless, l.fanvue_id) as place
          from loose_stored l
          where not exists (select from given_id g where g.id = l.id)) s
      on s.at = i.at and s.facts = i.facts and s.place = i.place
    where i.nameless
  ), left_in as (
    select i.*
    from incoming i
    where i.recalled is null and not exists (select from same k where k.n = i.n) and not exists (select from given_id g where g.n = i.n)
      and not exists (select from sent_without_id w where w.n = i.n)
  ), left_stored as (
    select s.*
    from stored s
    -- a row just read at the page border is not what another one amends: it is its sibling
    where s.facts is not null and s.id <> all (p_border)
      and not exists (select from same k where k.id = s.id) and not exists (select from given_id g where g.id = s.id)
      and not exists (select from sent_without_id w where w.id = s.id) and not exists (select from recalled k where k.id = s.id)
  ), known_by_hash as (
    -- the name remembers what was listed: values that were altered since are put right
    select i.n, s.id
    from left_in i
    join left_stored s on s.fanvue_created_at = i.at and s.fanvue_id = i.fanvue_id || '#' || left(i.hash, 8)
  ), named_by_hash as (
    select i.n, s.id
    from (select i.n, i.at, i.hash, row_number() over (partition by i.at, i.hash order by i.fanvue_id is not null, i.n) as place
          from left_in i
          where not exists (select from known_by_hash k where k.n = i.n)
            -- a row that can be known by its id is
            and not exists (select from left_stored s
                            where s.fanvue_created_at = i.at and regexp_replace(s.fanvue_id, '#[0-9a-f]{8}$', '') = i.fanvue_id)) i
    join (select s.id, s.fanvue_created_at as at, split_part(s.fanvue_id, ':', 2) as hash,
                 row_number() over (partition by s.fanvue_created_at, split_part(s.fanvue_id, ':', 2) order by s.fanvue_id) as place
          from left_stored s where s.fanvue_id like 'h:%') s
      on s.at = i.at and s.hash = i.hash and s.place = i.place
  ), by_facts as (
    select * from recalled union all select * from given_id union all select * from sent_without_id union all select * from named_by_hash
  ), identical as (
    select * from same union all select * from known_by_hash
  ), amended as (
    select i.n, s.id
    from (select i.n, i.at, i.fanvue_id, row_number() over (partition by i.at, i.fanvue_id order by i.facts) as place
          from incoming i
          where i.fanvue_id is not null
            and not exists (select from identical k where k.n = i.n) and not exists (select from by_facts b where b.n = i.n)) i
    join (select s.id, s.fanvue_created_at as at, b.base_id,
                 row_number() over (partition by s.fanvue_created_at, b.base_id order by s.fanvue_id) as place
          from left_stored s
          cross join lateral (select regexp_replace(s.fanvue_id, '#[0-9a-f]{8}$', '') as base_id) b
          where not exists (select from identical k where k.id = s.id) and not exists (select from by_facts b where b.id = s.id)) s
      on s.at = i.at and s.base_id = i.fanvue_id and s.place = i.place
  ), known as (
    select * from identical union all select * from amended
  ), adopted as (
    select i.n, s.id
    from (select i.n, i.at, i.amount, row_number() over (partition by i.at, i.amount order by i.n) as place
          from incoming i
          where not exists (select from known k where k.n = i.n) and not exists (select from by_facts b where b.n = i.n)) i
    join (select s.id, s.fanvue_created_at as at, s.amount,
                 row_number() over (partition by s.fanvue_created_at, s.amount order by s.fanvue_id) as place
          from stored s
          where s.source is null and s.net_amount is null and s.facts is not null
            and not exists (select from known k where k.id = s.id) and not exists (select from by_facts b where b.id = s.id)) s
      on s.at = i.at and s.amount = i.amount and s.place = i.place
  ), matched as (
    select k.n, k.id, false as renamed from known k
    union all
    select b.n, b.id, true from by_facts b
    union all
    select a.n, a.id, true from adopted a
  ), named as (
    -- what each incoming row is to be called
    select i.*, m.id as row_id, s.fanvue_id as stored_id, s.amount as stored_amount,
           -- of a row without its source the category is a guess
           case when i.source = 'unknown' then coalesce(nullif(s.category, 'unknown'), i.category) else i.category end as known_category,
           case
             when m.id is not null and (not m.renamed or i.fanvue_id is null) then s.fanvue_id
             when i.fanvue_id is null then
               'h:' || i.hash || ':' || private.free_ordinal(
                 array(select split_part(o.fanvue_id, ':', 3)::integer from stored o
                       where o.fanvue_created_at = i.at and o.fanvue_id like 'h:' || i.hash || ':%'),
                 row_number() over (partition by i.at, i.hash, i.fanvue_id is null, m.id is null order by i.n))::text
             when row_number() over (partition by i.fanvue_id, m.id is not null and not m.renamed order by i.at, i.facts) = 1
                  and not exists (select from stored o where o.fanvue_id = i.fanvue_id and o.id is distinct from m.id)
               then i.fanvue_id
             else i.fanvue_id || '#' || left(i.hash, 8)
           end as final_id
    from incoming i
    left join matched m on m.n = i.n
    left join stored s on s.id = m.id
  ), changed as (
    update public.fanvue_transactions t
    set fanvue_id = n.final_id, amount = n.amount, net_amount = coalesce(n.net, t.net_amount),
        currency = coalesce(n.currency, t.currency), source = coalesce(nullif(n.source, 'unknown'), t.source, n.source),
        category = n.known_category, status = coalesce(n.status, t.status),
        fan_uuid = coalesce(n.fan_uuid, t.fan_uuid), fan_handle = coalesce(n.fan_handle, t.fan_handle),
        message_uuid = coalesce(n.message_uuid, t.message_uuid), post_uuid = coalesce(n.post_uuid, t.post_uuid),
        reverses_fanvue_id = coalesce(n.reverses_fanvue_id, t.reverses_fanvue_id),
        origin = 'api', synced_at = p_now
    from named n
    where t.id = n.row_id
      and (t.fanvue_id, t.amount, t.net_amount, t.currency, t.source, t.category, t.status, t.fan_uuid, t.fan_handle,
           t.message_uuid, t.post_uuid, t.reverses_fanvue_id, t.origin)
          is distinct from
          (n.final_id, n.amount, coalesce(n.net, t.net_amount), coalesce(n.currency, t.currency), coalesce(nullif(n.source, 'unknown'), t.source, n.source),
           n.known_category, coalesce(n.status, t.status), coalesce(n.fan_uuid, t.fan_uuid),
           coalesce(n.fan_handle, t.fan_handle), coalesce(n.message_uuid, t.message_uuid), coalesce(n.post_uuid, t.post_uuid),
           coalesce(n.reverses_fanvue_id, t.reverses_fanvue_id), 'api')
    returning t.id, n.amount - n.stored_amount as delta
  ), added as (
    insert into public.fanvue_transactions (
      agency_id, model_id, fanvue_id, amount, net_amount, currency, source, category, status, fan_uuid, fan_handle,
      message_uuid, post_uuid, reverses_fanvue_id, origin, fanvue_created_at, synced_at, created_at)
    select p_agency_id, p_model_id, n.final_id, n.amount, n.net, n.currency, n.source, n.category, n.status, n.fan_uuid,
           n.fan_handle, n.message_uuid, n.post_uuid, n.reverses_fanvue_id, 'api', n.at, p_now, p_now
    from named n
    where n.row_id is null
    returning fanvue_transactions.id, fanvue_transactions.amount as delta
  )
  select (select count(*) from added) as inserted, (select count(*) from changed) as updated,
         (select count(*) from named) - (select count(*) from added) - (select count(*) from changed) as unchanged,
         coalesce((select sum(a.delta) from added a), 0) + coalesce((select sum(c.delta) from changed c), 0) as amount,
         array(select n.row_id from named n where n.row_id is not null union all select a.id from added a) as listed,
         array(select a.id from added a) as added,
         (select jsonb_agg(to_jsonb(s) - 'facts') from changed c join stored s on s.id = c.id) as before
  into v_matched;
  inserted := inserted + v_matched.inserted;
  updated := updated + v_matched.updated;
  unchanged := unchanged + v_matched.unchanged;
  amount := amount + v_matched.amount;
  listed := listed || v_matched.listed;
  added := added || v_matched.added;
  before := v_matched.before;
end
$$;
comment on function private.apply_transactions(uuid, uuid, jsonb, uuid[], timestamptz) is
  'Writes one page of Fanvue''s transactions into the ledger, each counted once. Unchanged rows are not written. Amounts are US dollars. '
  'listed: the rows that stand for the page; added: those of them that are new; before: those that were changed, as they were.';
revoke all on function private.apply_transactions(uuid, uuid, jsonb, uuid[], timestamptz) from public, anon, authenticated;
grant execute on function private.apply_transactions(uuid, uuid, jsonb, uuid[], timestamptz) to service_role;
