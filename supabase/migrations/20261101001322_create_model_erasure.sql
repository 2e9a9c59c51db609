-- Purpose: a creator is erased with all their rows, when they or their agency ask for it.
-- Who may call: service_role, and the owner in Studio.
-- Locks: the model's row, its jobs and states, then every row of theirs.

create or replace function private.replace_word(p jsonb, p_word text, p_by text)
returns jsonb
language sql
immutable
set search_path = ''
as $$
  select case jsonb_typeof(p)
    when 'object' then coalesce((select jsonb_object_agg(k.key, private.replace_word(k.value, p_word, p_by)) from jsonb_each(p) k), '{}')
    when 'array' then coalesce((select jsonb_agg(private.replace_word(x.value, p_word, p_by) order by x.ordinality)
                                from jsonb_array_elements(p) with ordinality x), '[]')
    when 'string' then to_jsonb(regexp_replace(p #>> '{}', p_word, p_by, 'gi'))
    else p end
$$;
comment on function private.replace_word(jsonb, text, text) is 'Replaces what a pattern matches in every text of a value, never in its keys.';
revoke all on function private.replace_word(jsonb, text, text) from public, anon, authenticated;
grant execute on function private.replace_word(jsonb, text, text) to service_role;

create or replace function private.forget_creator()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_name text;
  v_word text;
begin
  foreach v_name in array array[old.handle, old.fanvue_user_uuid, old.display_name] loop
    continue when coalesce(v_name, '') = '';
    v_word := '(?<![[:alnum:]_.-])' || regexp_replace(v_name, '([^[:alnum:]_])', '\\\1', 'g') || '(?![[:alnum:]_-])';
    update ops.actions a
    set target = regexp_replace(a.target, '(?<= )' || v_word, old.id::text, 'gi'),
        arguments = private.replace_word(a.arguments, v_word, old.id::text),
        changed = private.replace_word(a.changed, v_word, old.id::text)
    where a.target ~* ('(?<= )' || v_word) or concat(a.arguments, a.changed) ~* v_word;
  end loop;
  return null;
end
$$;
comment on function private.forget_creator() is
  'Puts the model''s id where the trail names a creator who is gone. Definer, because the trail is nobody else''s to change; a trigger, so that nobody can call it.';
revoke all on function private.forget_creator() from public, anon, authenticated;
create trigger models_forget_creator
  after delete on public.models
  for each row execute function private.forget_creator();

create or replace function ops.erase_model(p_model_id uuid, p_confirm_handle text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_model public.models;
  v_counts jsonb := '{}'::jsonb;
  v_gross numeric(14, 2);
  v_buckets text[];
  v_webhooks bigint;
  v_count integer;
begin
  -- the reply to the first call may have been lost
  if not exists (select from public.models m where m.id = p_model_id)
     and exists (select from ops.actions a where a.action = 'erase_model' and a.arguments ->> 'model_id' = p_model_id::text) then
    return jsonb_build_object('changed', false, 'message', format('nothing to do: model %s was erased already', p_model_id));
  end if;
  v_model := private.require_model(p_model_id);
  v_gross := v_model.revenue_total;
  -- of the path by which they are read, and of those by which they were
  v_buckets := private.bucket_of(v_model) || array(
    select e.bucket from private.api_endpoints e where e.bucket like 'user:%:' || v_model.fanvue_user_uuid
    union
    select b.bucket from private.api_budgets b where b.bucket like 'user:%:' || v_model.fanvue_user_uuid
    union
    select 'user:' || v_model.fanvue_user_uuid
    -- an administrator's account goes on
    where not exists (select from public.agency_connections c where c.fanvue_user_uuid = v_model.fanvue_user_uuid));
  if p_confirm_handle is distinct from coalesce(v_model.handle, v_model.fanvue_user_uuid, v_model.id::text) then
    raise sqlstate 'PT422' using message = format('%L is not the handle of model %s: nothing was erased', p_confirm_handle, p_model_id),
      hint = 'write the handle as public.model_overview shows it (the creator''s uuid where it shows none)';
  end if;
  select count(*) into v_webhooks from private.webhook_subscriptions w where w.model_id = p_model_id and w.state in ('active', 'registering');
  if v_webhooks > 0 and v_model.status = 'active' and v_model.connection_id is null and private.has_grant(v_model) then
    -- with the grant goes what could take them back
    raise sqlstate 'PT409' using message = format('Fanvue delivers webhooks of model %s, and without its grant nobody ends that from here: nothing was erased', p_model_id),
      hint = format('run fanvue-sync webhooks delete %s --yes, then erase the model', p_model_id);
  end if;
  -- in the order of a settlement, which takes no model
  perform from public.sync_jobs j where j.model_id = p_model_id order by j.sync_type, j.state = 'queued', j.id for update;
  perform from public.sync_state s where s.model_id = p_model_id order by s.sync_type for update;
  delete from private.adoption_findings a
  where a.row_id = p_model_id or a.row_id in (select t.id from public.fanvue_transactions t where t.model_id = p_model_id)
     -- rows that the adoption took out stand there whole
     or a.before ->> 'model_id' = p_model_id::text;
  delete from public.webhook_events w
  where w.model_id = p_model_id or (w.status in ('parked', 'ignored', 'failed') and w.creator_uuid = v_model.fanvue_user_uuid)
     -- what was not understood names them somewhere in its body
     or (w.model_id is null and w.creator_uuid is null and v_model.fanvue_user_uuid = any (private.uuids_in(w.payload)));
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('webhook_events', v_count);
  -- while the model still says whose they are: the agency's figures follow, and cached ones are dropped
  delete from public.fanvue_transactions t where t.model_id = p_model_id;
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('transactions', v_count, 'gross', v_gross);
  delete from public.fanvue_top_fans t where t.model_id = p_model_id;
  delete from public.fanvue_accounts a where a.model_id = p_model_id;
  delete from public.fanvue_messages m where m.model_id = p_model_id;
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('messages', v_count);
  delete from public.fanvue_fans f where f.model_id = p_model_id;
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('fans', v_count);
  delete from private.api_budgets b where b.bucket = any (v_buckets);
  delete from private.api_endpoints e where e.bucket = any (v_buckets);
  -- everything else goes with it: grant, streams, jobs, runs, chats, posts, findings, settings, the name in the trail
  delete from public.models m where m.id = p_model_id;
  perform private.note_action('erase_model', 'model ' || p_model_id, jsonb_build_object('model_id', p_model_id, 'agency_id', v_model.agency_id), v_counts);
  return jsonb_build_object('changed', true, 'message', format('model %s and all its rows are gone; the agency''s total is %s US dollars less%s', p_model_id, v_gross,
      case when v_webhooks > 0 then '; Fanvue goes on delivering its webhooks until they are deleted in its Developer area, your app, Events' else '' end), 'rows', v_counts);
end
$$;
comment on function ops.erase_model(uuid, text) is
  'Deletes a creator with everything of theirs: grant, money, fans, messages, posts, jobs, runs, webhook payloads. p_confirm_handle must be their handle, exactly. '
  'It cannot be undone; only Fanvue has the data then. Refuses while a webhook is registered for them that their grant can still delete. '
  'Take them out of the agency''s account, and of webhooks made by hand, at Fanvue too, or events for them are parked again.';
revoke all on function ops.erase_model(uuid, text) from public, anon, authenticated;
grant execute on function ops.erase_model(uuid, text) to service_role;
