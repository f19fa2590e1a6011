{#- Where a browser finds a card. A requisite, bank detail or address has the key of its company, a link that of its
    contact first. -#}
{% macro card_url(portal_url, entity, bitrix_id) -%}
    {{ portal_url }} || '/crm/' || {{ entity }} || '/details/' || {{ bitrix_id }} || '/'
{%- endmacro %}
