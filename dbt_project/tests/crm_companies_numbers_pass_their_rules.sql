-- KPP, OGRN and accounts of published companies are right, or absent.
select company_id, inn, kpp, ogrn, bik, account, corr_account
from {{ ref('crm_companies') }}
where not (
    (kpp is null or {{ kpp_is_well_formed('kpp') }})
    and (ogrn is null or {{ ogrn_is_valid('ogrn') }})
    and (account is null or {{ account_key_agrees('bik', 'account') }})
    and (corr_account is null or {{ account_key_agrees('bik', 'corr_account', is_correspondent=true) }})
)
