select
    company_id,
    inn, kpp, ogrn,
    title, full_name, legal_form as opf,
    director_name, director_post,
    legal_address,
    bank_name, bik, account, corr_account,
    requisite_preset, requisite_name, requisite_ogrn, requisite_ogrnip, bank_detail_name,
    registry_status,
    sources,
    coalesce(order_count, 0) as order_count,
    coalesce(order_total, 0)::decimal(18, 2) as order_total,
    last_order_at,
    {{ moscow_day('last_order_at') }} as last_order_on
from {{ ref('int_companies__deduplicated') }}
left join {{ ref('int_orders__by_company') }} using (company_id)
