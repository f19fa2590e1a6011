-- Nothing is lost and nothing is counted twice: every staged contact is in xref_contacts or in rejected_contacts.
{{ not_accounted_for(
    [('shop_a', ref('stg_shop_a__client_contacts')), ('shop_b', ref('stg_shop_b__persons'))], 'source_contact_id',
    [ref('xref_contacts'), ref('rejected_contacts')]
) }}
