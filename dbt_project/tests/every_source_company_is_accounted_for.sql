-- Nothing is lost and nothing is counted twice: every staged company is in xref_companies or in rejected_companies.
{{ not_accounted_for(
    [('shop_a', ref('stg_shop_a__clients')), ('shop_b', ref('stg_shop_b__companies'))], 'source_company_id',
    [ref('xref_companies'), ref('rejected_companies')]
) }}
