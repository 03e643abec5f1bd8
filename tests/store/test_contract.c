/* store: every backend keeps the contract that store.h states. */
#include "contract.h"

#include <stdio.h>
#include <string.h>

/* What CTest takes for skipped. */
#define EXIT_SKIPPED 77

/* The backend that is named; without a name, those that are nobody's server. A second word is a
 * pattern: only the tests that it fits. */
int main(int argc, char **argv)
{
    if (argc > 2) {
        cmocka_set_test_filter(argv[2]);
    }
    int failed = 0;
    size_t n_run = 0;
    for (size_t i = 0; i < n_backends; i++) {
        const struct backend *backend = &backends[i];
        if (argc < 2 ? backend->is_present != NULL : strcmp(argv[1], backend->name) != 0) {
            continue;
        }
        if (backend->is_present != NULL && !backend->is_present()) {
            return EXIT_SKIPPED;
        }
        failed += contract_run(backend);
        n_run++;
    }
    if (n_run == 0) {
        fprintf(stderr, "there is no such backend\n");
    }
    return failed > 0 || n_run == 0;
}
