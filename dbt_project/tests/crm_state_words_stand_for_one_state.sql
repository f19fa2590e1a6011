-- A card that keeps its state gets another word when the language changes: its state is known by the word it has.
select entity, word, list(distinct state order by state) as states
from {{ ref('crm_state_words') }}
group by entity, word
having count(distinct state) > 1
