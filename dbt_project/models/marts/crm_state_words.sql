select
    entity, state,
    unnest(['codes', 'ru', 'en']) as lang,
    unnest([state, text_ru, text_en]) as word
from {{ ref('crm_states') }}
