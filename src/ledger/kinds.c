#include "ledger/ledger.h"

int ledger_kind_number(const struct ledger_kinds *kinds, struct base_text code)
{
    for (size_t i = 0; i < kinds->n_kinds; i++) {
        if (base_text_equal(kinds->kinds[i].code, code)) {
            return (int)i;
        }
    }
    return -1;
}
