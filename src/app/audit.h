/* Who first succeeded: what a store keeps beside its records, and no answer ever tells. */
#ifndef ZANDAKA_APP_AUDIT_H
#define ZANDAKA_APP_AUDIT_H

#include "app/app.h"

/* Prints the record under the id and who asked for it, out of the store of that URL, which is
 * opened to read; as one line of JSON, or for a person. Gives the exit status; what is wrong is
 * told on standard error. */
enum app_exit app_audit_transaction(const char *store_url, const char *transaction_id, bool json);

#endif
