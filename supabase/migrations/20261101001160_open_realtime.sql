-- Purpose: who hears what: members their agency's private topic; and the tables that clients of postgres_changes may follow.
-- A database without Realtime migrates all the same.
-- Locks: the short ones of a new policy and of a publication's change.

do $$
begin
  if to_regclass('realtime.messages') is null then
    raise notice 'no Realtime here: nothing is pushed, dashboards poll';
    return;
  end if;
  -- Dynamic, as the table may be missing. Only what a probe carries is asked: topic and extension. Only listening is allowed:
  -- there is no policy for sending, and the workers' topic is heard by the service role alone, which passes by row security.
  execute 'drop policy if exists "members hear their agency" on realtime.messages';
  execute $policy$
    create policy "members hear their agency" on realtime.messages
      for select to authenticated
      using (extension = 'broadcast' and topic = (select realtime.topic())
             and topic = any (array(select 'agency:' || a.id from private.member_agency_ids() as a (id))))
  $policy$;
end
$$;

-- postgres_changes. Realtime asks row security about every insert and update, and two things get past it: whoever may not read
-- the key of a table is told of each of its changes ("Error 401"), and deletions are told to everybody, with their keys. So
-- deletions are not published, and anon may read the keys of these tables: of no row, as no policy is anon's.
do $$
declare
  v_table text;
begin
  -- Whoever's publication it is: none of these tables holds a secret.
  foreach v_table in array private.followed_tables() loop
    execute format('grant select (id) on public.%I to anon', v_table);
  end loop;
  if not exists (select from pg_catalog.pg_publication p where p.pubname = 'supabase_realtime') then
    raise notice 'no publication supabase_realtime here: nothing for clients of postgres_changes';
    return;
  end if;
  if exists (select from pg_catalog.pg_publication_tables t
             where t.pubname = 'supabase_realtime'
               and (t.schemaname <> 'public' or t.tablename <> all (private.followed_tables())))
     or exists (select from private.kept_access k where k.object = 'deletions in publication supabase_realtime') then
    raise notice 'the publication supabase_realtime carries other tables, so it stays as it is (docs/security.md, postgres_changes)';
    return;
  end if;
  alter publication supabase_realtime set (publish = 'insert, update');
  foreach v_table in array private.followed_tables() loop
    if not exists (select from pg_catalog.pg_publication_tables t
                   where t.pubname = 'supabase_realtime' and t.schemaname = 'public' and t.tablename = v_table) then
      execute format('alter publication supabase_realtime add table public.%I', v_table);
    end if;
  end loop;
end
$$;
