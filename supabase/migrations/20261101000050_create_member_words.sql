-- Purpose: what members are told of an error, and of why a creator does not sync: fixed words, and the code of an error.
-- Errors quote Fanvue, the network and bugs, and operators write what they like; none of that is meant for members.
-- Who may call: generated columns.
-- Locks: none.

create or replace function private.member_error(p_error jsonb)
returns jsonb
language sql
immutable
strict
set search_path = ''
as $$
  -- What is not in this list is told as 'other'. Nothing of the error itself is passed on but its code and its instant.
  select jsonb_strip_nulls(jsonb_build_object('kind', w.kind, 'message', w.message, 'remedy', w.remedy,
           'at', case when p_error ->> 'at' ~ '^\d{4}-\d\d-\d\dT[0-9:.]{1,20}([+-][0-9:]{1,6}|Z)$' then p_error ->> 'at' end))
  from (values
    ('transient', 'Fanvue did not answer usefully', 'nothing: it is tried again by itself'),
    ('throttled', 'Fanvue''s rate limit is spent', 'nothing: the work continues when the rate limit allows'),
    ('cursor_expired', 'Fanvue no longer accepted the place in its list', 'nothing: the list is read again'),
    ('database_unavailable', 'the database did not answer', 'nothing: the work resumes by itself'),
    ('grant_error', 'the access to the Fanvue account needs attention', 'connect the account again if this stays'),
    ('unauthorized', 'Fanvue refused the access token', 'nothing: it is renewed; connect the account again if this stays'),
    ('grant_moved', 'the access was renewed meanwhile', 'nothing: it is tried again by itself'),
    ('grant_invalid', 'Fanvue no longer accepts the access to this account', 'connect the account again'),
    ('scope_missing', 'the consent does not cover this data', 'connect the account again and leave every permission ticked'),
    ('provider_contract', 'Fanvue''s answer could not be read', 'nothing: it is tried again; tell whoever runs this service if it stays'),
    ('unavailable', 'Fanvue does not have what was asked for', 'look whether the account still exists at Fanvue'),
    ('not_found', 'Fanvue does not know this account or list', 'look whether the account still exists at Fanvue'),
    ('gone', 'Fanvue has retired this list', 'tell whoever runs this service'),
    ('misconfigured', 'a setting of this service is wrong', 'tell whoever runs this service'),
    ('schema_missing', 'this service is being updated', 'nothing: the work resumes by itself'),
    ('seal_broken', 'the stored access cannot be opened', 'connect the account again'),
    ('lease_lost', 'another worker took over', 'nothing: it goes on by itself'),
    ('lease_expired', 'the worker stopped in the middle', 'nothing: another one goes on'),
    ('released', 'an operator took the work back', 'nothing: it goes on by itself'),
    ('cancelled', 'it was stopped on request', null),
    ('stream_off', 'this stream was switched off', null),
    ('folded', 'a newer request took over', null),
    ('model_paused', 'the creator is paused', 'ask whoever runs this service'),
    ('model_reauth_required', 'the creator must connect again', 'connect the account again'),
    ('shrunk', 'Fanvue''s list suddenly lacks many entries, so nobody was ended', 'ask whoever runs this service whether that is right'),
    ('partial', 'Fanvue did not show all of it, so some may be missing', 'nothing: it is read again'),
    ('database_error', 'something in this service went wrong', 'tell whoever runs this service'),
    ('bug', 'something in this service went wrong', 'tell whoever runs this service'),
    ('other', 'the last sync failed', 'tell whoever runs this service if this stays')
  ) w (kind, message, remedy)
  where w.kind in ('other', case when p_error ->> 'kind' = 'partial' and p_error ->> 'message' ~ '^Fanvue''s list of [a-z ]+ named \d+ fewer '
                                 then 'shrunk' else p_error ->> 'kind' end)
  order by w.kind = 'other'
  limit 1
$$;
comment on function private.member_error(jsonb) is
  'What members are told of an error: its code, fixed words for it, what they can do, and when it was. A code that is not listed is told as other.';
revoke all on function private.member_error(jsonb) from public, anon, authenticated;
grant execute on function private.member_error(jsonb) to service_role;

create or replace function private.member_reason(p_status text, p_reason text)
returns text
language sql
immutable
set search_path = ''
as $$
  select case
    when p_status = 'active' then null
    when p_reason like 'connecting:%' then 'it is being connected'
    when p_reason = 'an owner or admin disconnected it' then p_reason
    when p_reason like 'Fanvue refuses the refresh token%' then 'Fanvue no longer accepts the access: the account must connect again'
    when p_reason like 'the access token ended%' then 'the access ended: the account must connect again'
    when p_reason like 'the agency''s grant serves this creator no more%' then 'the agency''s access no longer covers this creator: connect them again'
    when p_reason = 'the same creator is managed by an older model' then 'the same creator is here twice; the older entry is used'
    when p_reason like 'adopted with status %' then 'taken over from an older application; whoever runs this service has to look at it'
    when p_status = 'paused' then 'paused by whoever runs this service'
    else 'the account must connect again' end
$$;
comment on function private.member_reason(text, text) is
  'What members are told of why a creator or an agency''s account does not sync, in fixed words; null: it does. The words of the reason itself are the operators''.';
revoke all on function private.member_reason(text, text) from public, anon;
-- Whoever may write a model computes it: an older application's members may have kept that right.
grant execute on function private.member_reason(text, text) to authenticated, service_role;
