"""De-identification at the hospital's edge: what is done to a file before a study may touch it.

DICOM files go through the profile of DICOM PS3.15 Annex E, edition 2024e (`profile`), by a keyed
pseudonymiser (`key`) and a site's policy (`policy`):

    >>> from huizhen.data.deidentify.policy import DeidPolicy
    >>> [option.value for option in DeidPolicy().options][:2]
    ['clean_descriptors', 'clean_structured_content']
"""
