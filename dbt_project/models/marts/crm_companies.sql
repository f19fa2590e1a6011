select
    company_id,
    inn, region, kpp, ogrn,
    title, full_name, legal_form as opf,
    director_name, director_post,
    legal_address,
    bank_name, bik, account, corr_account,
    requisite_preset, requisite_name, requisite_ogrn, requisite_ogrnip, bank_detail_name,
    registry_status,
    sources,
    order_count, order_total,
    last_order_at, last_order_on
from {{ ref('int_companies__published') }}
