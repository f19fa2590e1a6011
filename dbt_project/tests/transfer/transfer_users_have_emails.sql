-- A portal of which no user has an e-mail did not tell them: the webhook lacks the scope `user` (or `user_basic`).
-- Without e-mails nobody is proven, and the fallback user would stand for everybody.
select side, count(*) as user_count
from {{ ref('stg_portals__records') }}
where entity = 'user' and side in ('cloud', 'box')
group by side
having count(*) > 1 and count(nullif(trim(payload ->> '$.EMAIL'), '')) = 0
