"""De-identification of reports and notes, in English and Chinese: who and what is named in them, replaced.

Recognisers (`engine`) find identifiers by rules, dictionaries and what the hospital knows of the patient
(`known`); surrogates (`surrogates`) take their places under the site's key, so that a patient's texts and
DICOM files agree:

    >>> from huizhen.data.deidentify_text.folding import fold
    >>> fold("Ｓｍｉ\\u200bth").text
    'Smith'
"""
