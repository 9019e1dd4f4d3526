// Generated from the OpenAPI document by `npm run client`: not to be edited.

export interface paths {
    "/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Describe the service
         * @description A page with links to the documents and to health; JSON where `Accept` prefers it.
         */
        get: operations["getRoot"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Is the process up?
         * @description Checks no dependency.
         */
        get: operations["getHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health/live": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Liveness
         * @description For an orchestrator: restart on failure.
         */
        get: operations["getLiveness"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health/ready": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Readiness
         * @description For a balancer: send requests only while this is 200. Checks the database and its migrations, the queue, and whether the process is stopping.
         */
        get: operations["getReadiness"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/invitations/preview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Preview an invitation
         * @description The tenant, role and address of the invitation. Does not use the token.
         */
        post: operations["previewInvitation"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/invitations/accept": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Accept an invitation
         * @description A person without an account sends a new password; a person with one sends a session of the invited address, or the password of the account. Another password takes over an account whose address was never verified.
         */
        post: operations["acceptInvitation"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/login": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sign in
         * @description An unknown e-mail address and a wrong password get the same response after the same time. Failures are limited per account (5 free, then growing pauses) and per address (60 in 15 minutes).
         */
        post: operations["login"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/refresh": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Get a new pair of tokens
         * @description The request uses up the token. A second use of a token ends the session, except that a retry within 10 seconds gets the same successor, as long as that was not used.
         */
        post: operations["refreshTokens"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/logout": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sign out
         * @description Ends the session of the refresh token; its access tokens stop working within 2 seconds.
         */
        post: operations["logout"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/me": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the caller
         * @description The person, the tenant, and the permissions.
         *
         *     Serves the person of a session, in any tenant or none.
         */
        get: operations["getMe"];
        put?: never;
        post?: never;
        /**
         * Delete the own account
         * @description Leaves every tenant immediately; the account is erased after 30 days, and can be restored until then.
         *
         *     Serves the person of a session, in any tenant or none.
         *
         *     Requires a fresh sign-in, see `POST /auth/step-up`.
         */
        delete: operations["deleteMe"];
        options?: never;
        head?: never;
        /**
         * Change the own account
         * @description The name.
         *
         *     Serves the person of a session, in any tenant or none.
         */
        patch: operations["updateMe"];
        trace?: never;
    };
    "/api/v1/auth/register": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Register a company
         * @description Creates a tenant and its owner, and signs the owner in. If registrations are verified, nothing is created yet: a mail is sent, and the response is 202 for every address.
         */
        post: operations["register"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/verify-email": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Prove a mailbox
         * @description The token of a pending registration creates the account with these data, and signs in. The token of an account verifies its address, together with a session of its person or the account's password.
         */
        post: operations["verifyEmail"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/verify-email/resend": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send the mail again
         * @description The response is the same for every address; an address gets at most 5 mails an hour and 20 a day.
         */
        post: operations["resendVerification"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Change the password
         * @description Ends the person's other sessions.
         *
         *     Serves the person of a session, in any tenant or none.
         *
         *     Requires a fresh sign-in, see `POST /auth/step-up`.
         */
        post: operations["changePassword"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/password/forgot": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Request a reset of the password
         * @description The response is the same for every address; an address with an account gets a mail with a link.
         */
        post: operations["forgotPassword"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/password/reset": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Reset the password
         * @description Ends all sessions. The next sign-in still requires a second factor.
         */
        post: operations["resetPassword"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/email": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Change the e-mail address
         * @description A mail goes to the new address; its link confirms the change.
         *
         *     Serves the person of a session, in any tenant or none.
         *
         *     Requires a fresh sign-in, see `POST /auth/step-up`.
         */
        post: operations["changeEmail"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/email/confirm": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Confirm a new e-mail address
         * @description With a session of the person, or the password.
         */
        post: operations["confirmEmail"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/email/undo": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Undo a change of the e-mail address
         * @description By the link in the mail to the old address: restores it, invalidates the password, and ends all sessions.
         */
        post: operations["undoEmail"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/me/restore": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Restore the own account
         * @description Cancels the deletion. The memberships have ended.
         *
         *     Serves the person of a session, in any tenant or none.
         */
        post: operations["restoreMe"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/me/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Export the own data
         * @description All data that are stored about the person.
         *
         *     Serves the person of a session, in any tenant or none.
         *
         *     Requires a fresh sign-in, see `POST /auth/step-up`.
         */
        get: operations["exportMe"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List one's sessions
         * @description Over all tenants of the person, the newest first.
         *
         *     Serves the person of a session, in any tenant or none.
         */
        get: operations["listSessions"];
        put?: never;
        post?: never;
        /**
         * End all other sessions
         * @description All but the current one, within 2 seconds.
         *
         *     Serves the person of a session, in any tenant or none.
         */
        delete: operations["endOtherSessions"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/sessions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * End a session
         * @description And those that descend from the same sign-in, within 2 seconds.
         *
         *     Serves the person of a session, in any tenant or none.
         */
        delete: operations["endSession"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/tenants": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List one's tenants
         * @description The newest first.
         *
         *     Serves the person of a session, in any tenant or none.
         */
        get: operations["listOwnTenants"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/tenants/{id}/confirm": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Confirm a membership
         * @description A membership that became `unconfirmed` when the mailbox's owner claimed the account.
         *
         *     Serves the person of a session, in any tenant or none.
         */
        post: operations["confirmTenant"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/tenants/{id}/decline": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Decline a membership
         * @description A membership that became `unconfirmed`. If its person is the only owner, the tenant closes.
         *
         *     Serves the person of a session, in any tenant or none.
         */
        post: operations["declineTenant"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/switch-tenant": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Act in another tenant
         * @description Begins a session in another tenant of the person, whose rules are checked again. The old session stays valid.
         *
         *     Serves the person of a session, in any tenant or none.
         */
        post: operations["switchTenant"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tenants": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Make a tenant
         * @description With the person as its owner; at most five a day.
         *
         *     Serves the person of a session, in any tenant or none.
         */
        post: operations["createTenant"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/step-up": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Confirm the sign-in
         * @description A new session replaces the old one, whose tokens stop working within 2 seconds.
         *
         *     Serves the person of a session, in any tenant or none.
         */
        post: operations["stepUp"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/step-up/options": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * List the accepted confirmations
         * @description The proofs that the person can give.
         *
         *     Serves the person of a session, in any tenant or none.
         */
        post: operations["getStepUpOptions"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/second-factor": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sign in with the second factor
         * @description Answers the challenge of a sign-in. It is valid for 5 minutes, 5 attempts and one success.
         */
        post: operations["completeSignIn"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/totp": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Add an authenticator app
         * @description It becomes active after the confirmation by one of its codes.
         *
         *     Serves the person of a session, in any tenant or none.
         *
         *     Requires a fresh sign-in, see `POST /auth/step-up`.
         */
        post: operations["addTotp"];
        /**
         * Remove the authenticator app
         * @description With the last factor, the recovery codes become invalid.
         *
         *     Serves the person of a session, in any tenant or none.
         *
         *     Requires a fresh sign-in, see `POST /auth/step-up`.
         */
        delete: operations["removeTotp"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/totp/confirm": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Confirm the authenticator app
         * @description The first factor comes with ten recovery codes. The confirmation uses up its code.
         *
         *     Serves the person of a session, in any tenant or none.
         */
        post: operations["confirmTotp"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/recovery-codes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Make new recovery codes
         * @description The old ones become invalid.
         *
         *     Serves the person of a session, in any tenant or none.
         *
         *     Requires a fresh sign-in, see `POST /auth/step-up`.
         */
        post: operations["renewRecoveryCodes"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tenant": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the tenant
         * @description For every member; `policies` are shown to callers with `tenant:manage`.
         */
        get: operations["getTenant"];
        put?: never;
        post?: never;
        /**
         * Close the tenant
         * @description For owners. From then on no credential is valid, except for signing in to `POST /tenant/restore`; everything is erased after 30 days.
         *
         *     Requires the permission `tenant:manage`.
         *
         *     Requires a fresh sign-in, see `POST /auth/step-up`.
         */
        delete: operations["closeTenant"];
        options?: never;
        head?: never;
        /**
         * Change name and policies
         * @description Policies are for owners. They apply to every request, to live sessions within 2 seconds, and to personal keys as to their person. A change that would lock out its own author is refused.
         *
         *     Requires the permission `tenant:manage`.
         *
         *     Requires a fresh sign-in, see `POST /auth/step-up`.
         */
        patch: operations["updateTenant"];
        trace?: never;
    };
    "/api/v1/tenant/restore": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Open a closed tenant again
         * @description For owners, by a session on the closed tenant, until it is erased.
         *
         *     Serves the person of a session, in any tenant or none.
         */
        post: operations["restoreTenant"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/invitations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List invitations
         * @description Newest first.
         *
         *     Requires the permission `members:manage`.
         */
        get: operations["listInvitations"];
        put?: never;
        /**
         * Invite a person
         * @description To a role whose permissions the caller holds. Only the mail contains the link; it is void once its inviter leaves or no longer holds the role’s permissions.
         *
         *     Requires the permission `members:manage`.
         *
         *     Requires a fresh sign-in, see `POST /auth/step-up`.
         */
        post: operations["createInvitation"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/invitations/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get an invitation
         * @description Without its token.
         *
         *     Requires the permission `members:manage`.
         */
        get: operations["getInvitation"];
        put?: never;
        post?: never;
        /**
         * Withdraw an invitation
         * @description Its token becomes invalid.
         *
         *     Requires the permission `members:manage`.
         */
        delete: operations["deleteInvitation"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/invitations/{id}/resend": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send an invitation again
         * @description With a new token for another 7 days; the old one becomes invalid, and the caller becomes the inviter.
         *
         *     Requires the permission `members:manage`.
         */
        post: operations["resendInvitation"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/members": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List members
         * @description The newest accounts first.
         *
         *     Requires the permission `members:read`.
         */
        get: operations["listMembers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/members/{user_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a member
         * @description By the id of the person.
         *
         *     Requires the permission `members:manage`.
         */
        get: operations["getMember"];
        put?: never;
        post?: never;
        /**
         * Remove a member, or leave
         * @description Requires the permission `members:manage`, except for the own membership. The sessions and personal keys of the person in this tenant end within 2 seconds.
         */
        delete: operations["removeMember"];
        options?: never;
        head?: never;
        /**
         * Change a member's role or status
         * @description Neither the member nor the new role may have a permission that the caller lacks. A change reaches every live credential of the member within 2 seconds; a suspension ends the sessions and personal keys here permanently.
         *
         *     Requires the permission `members:manage`.
         *
         *     Requires a fresh sign-in, see `POST /auth/step-up`.
         */
        patch: operations["updateMember"];
        trace?: never;
    };
    "/api/v1/members/{user_id}/password-reset": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a member a reset of the password
         * @description To the member's own address; only the mail contains the link.
         *
         *     Requires the permission `members:manage`.
         */
        post: operations["resetMemberPassword"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/members/{user_id}/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * End a member's sessions
         * @description Only those of this tenant; they stop working within 2 seconds.
         *
         *     Requires the permission `members:manage`.
         */
        delete: operations["endMemberSessions"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/roles": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List roles
         * @description Custom ones newest first, then those built in.
         *
         *     Requires the permission `members:read`.
         */
        get: operations["listRoles"];
        put?: never;
        /**
         * Create a role
         * @description With permissions of the caller; `sso:manage` belongs to owners alone.
         *
         *     Requires the permission `roles:manage`.
         *
         *     Requires a fresh sign-in, see `POST /auth/step-up`.
         */
        post: operations["createRole"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/roles/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a role
         * @description With its permissions.
         *
         *     Requires the permission `members:read`.
         */
        get: operations["getRole"];
        put?: never;
        post?: never;
        /**
         * Delete a role
         * @description A role without members and pending invitations.
         *
         *     Requires the permission `roles:manage`.
         */
        delete: operations["deleteRole"];
        options?: never;
        head?: never;
        /**
         * Change a role
         * @description Neither the old nor the new permissions may exceed the caller's. Reaches members within 2 seconds.
         *
         *     Requires the permission `roles:manage`.
         *
         *     Requires a fresh sign-in, see `POST /auth/step-up`.
         */
        patch: operations["updateRole"];
        trace?: never;
    };
    "/api/v1/tenant/usage": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the tenant's usage
         * @description Endpoints, event types, today's amounts, stored rows: usage, limit, and time of reset. A count above its limit is 422, a daily amount 429 until midnight UTC. Limits are lower in the first day of a tenant.
         *
         *     Requires the permission `tenant:manage`.
         */
        get: operations["getTenantUsage"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tenant/exports": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Export the tenant
         * @description For owners. All data of the tenant except secrets; the archive can be read for 7 days.
         *
         *     Requires the permission `tenant:manage`.
         *
         *     Requires a fresh sign-in, see `POST /auth/step-up`.
         */
        post: operations["createTenantExport"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tenant/exports/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get an export
         * @description For owners.
         *
         *     Requires the permission `tenant:manage`.
         */
        get: operations["getTenantExport"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tenant/exports/{id}/archive": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read an export's archive
         * @description For owners. A tar.gz that is created while it is read: a folder for each table with numbered files of NDJSON, and `manifest.json` last, which proves completeness. Rows that are written meanwhile may be included.
         *
         *     Requires the permission `tenant:manage`.
         */
        get: operations["readTenantArchive"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/api-keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List API keys
         * @description Newest first: one's own, and with `api_keys:manage` all. An expired key is listed, and can be given a later end, for 90 days; then it is deleted.
         */
        get: operations["listApiKeys"];
        put?: never;
        /**
         * Create an API key
         * @description The key is shown only here; only its hash is stored. Requires the permission `api_keys:manage` for a key of the tenant, and every scope of the key.
         *
         *     Requires a fresh sign-in, see `POST /auth/step-up`.
         */
        post: operations["createApiKey"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/api-keys/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get an API key
         * @description Without its text.
         */
        get: operations["getApiKey"];
        put?: never;
        post?: never;
        /**
         * Revoke an API key
         * @description It stops working within 2 seconds, in every process. Requires the permission `api_keys:manage`, except for a personal key of the caller.
         */
        delete: operations["revokeApiKey"];
        options?: never;
        head?: never;
        /**
         * Change an API key
         * @description Requires every old and new scope of the key. Only its person can change a personal key. Requires the permission `api_keys:manage` for a key of the tenant. Reaches every process within 2 seconds.
         *
         *     Requires a fresh sign-in, see `POST /auth/step-up`.
         */
        patch: operations["updateApiKey"];
        trace?: never;
    };
    "/api/v1/api-keys/{id}/rotate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Give an API key a new text
         * @description Earlier texts stay valid for `overlap_seconds`; 0 for a leaked key. Requires every scope of the key. Requires the permission `api_keys:manage` for a key of the tenant. One of several concurrent rotations succeeds.
         *
         *     Requires a fresh sign-in, see `POST /auth/step-up`.
         */
        post: operations["rotateApiKey"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/orders": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List orders
         * @description Newest first, by cursor: no order is skipped or repeated while orders are created.
         *
         *     Requires the permission `orders:read`.
         */
        get: operations["listOrders"];
        put?: never;
        /**
         * Create an order
         * @description The order, its items and its history are written together. The total is exact.
         *
         *     Requires the permission `orders:write`.
         */
        post: operations["createOrder"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/orders/batch": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Create up to 100 orders
         * @description In one transaction: all of them or none. Faults are named by index, such as `orders.1.currency`.
         *
         *     Requires the permission `orders:write`.
         */
        post: operations["createOrders"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/orders/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Export orders
         * @description All orders of the filters as a stream, newest first. CSV cells that a spreadsheet would execute begin with an apostrophe, and cells with a semicolon, a tab or a line break are quoted: LibreOffice, Google Sheets and Excel read them as one cell if the list separator is the comma. If it is the semicolon, import the file as separated by commas.
         *
         *     Requires the permission `orders:read`.
         */
        get: operations["exportOrders"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/orders/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get an order
         * @description With its items.
         *
         *     Requires the permission `orders:read`.
         */
        get: operations["getOrder"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Change notes and metadata
         * @description Metadata is merged; a null value removes its key. Without a difference the response is 200 with the same version.
         *
         *     Requires the permission `orders:write`.
         */
        patch: operations["updateOrder"];
        trace?: never;
    };
    "/api/v1/orders/{id}/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Change the status
         * @description pending → confirmed, cancelled; confirmed → processing, cancelled; processing → completed, cancelled. Exactly one of two concurrent changes succeeds.
         *
         *     Requires the permission `orders:write`.
         */
        patch: operations["changeOrderStatus"];
        trace?: never;
    };
    "/api/v1/orders/{id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List an order's history
         * @description Newest first.
         *
         *     Requires the permission `orders:read`.
         */
        get: operations["listOrderEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/endpoints": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List endpoints
         * @description Newest first.
         *
         *     Requires the permission `webhooks:read`.
         */
        get: operations["listEndpoints"];
        put?: never;
        /**
         * Create an endpoint
         * @description Only this response and the route of the secret show the secret. A tenant has at most 1,000 endpoints.
         *
         *     Requires the permission `webhooks:write`.
         */
        post: operations["createEndpoint"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/endpoints/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get an endpoint
         * @description Without its secret.
         *
         *     Requires the permission `webhooks:read`.
         */
        get: operations["getEndpoint"];
        put?: never;
        post?: never;
        /**
         * Remove an endpoint
         * @description Its waiting deliveries become `cancelled`; the log of sent ones stays.
         *
         *     Requires the permission `webhooks:write`.
         */
        delete: operations["deleteEndpoint"];
        options?: never;
        head?: never;
        /**
         * Change an endpoint
         * @description With the same checks as at its creation. Without a difference the response is 200 with the same version. Disabling changes waiting deliveries to `disabled`; enabling does not send them: `POST …/recover` does.
         *
         *     Requires the permission `webhooks:write`.
         */
        patch: operations["updateEndpoint"];
        trace?: never;
    };
    "/api/v1/webhooks/endpoints/{id}/secret": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get an endpoint's secret
         * @description The key for verifying signatures, and the whole URL and headers, which are masked elsewhere.
         *
         *     Requires the permission `webhooks:write`.
         */
        get: operations["getEndpointSecret"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/endpoints/{id}/rotate-secret": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Rotate an endpoint's secret
         * @description The new secret signs immediately, and the old one also signs until the overlap ends, so that you may change at any time in between.
         *
         *     Requires the permission `webhooks:write`.
         */
        post: operations["rotateEndpointSecret"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/jwks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get your public keys
         * @description Those of your endpoints that are signed with `v1a`, as a JSON Web Key Set.
         *
         *     Requires the permission `webhooks:read`.
         */
        get: operations["getWebhookKeys"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/endpoints/{id}/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a test message
         * @description A `webhook.test` to this endpoint alone, with any subscriptions, also while it is disabled.
         *
         *     Requires the permission `webhooks:write`.
         */
        post: operations["testEndpoint"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/endpoints/{id}/recover": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send missed deliveries again
         * @description Every `failed` or `disabled` delivery of that time is due again, with a new schedule and its unchanged `webhook-id`. Repeating the request is harmless: due deliveries are no longer failed or disabled.
         *
         *     Requires the permission `webhooks:write`.
         */
        post: operations["recoverEndpoint"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/endpoints/{id}/stats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the statistics of an endpoint
         * @description Attempts by the hour (UTC) in which they began: this hour and the 23 before it, or the requested period.
         *
         *     Requires the permission `webhooks:read`.
         */
        get: operations["getEndpointStats"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/event-types": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List event types
         * @description All types of the service, and your own registered ones.
         *
         *     Requires the permission `webhooks:read`.
         */
        get: operations["listEventTypes"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/event-types/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get an event type
         * @description One of the service's, or of your own.
         *
         *     Requires the permission `webhooks:read`.
         */
        get: operations["getEventType"];
        /**
         * Register an event type
         * @description Registers a type of your own, or replaces it; omitted fields are removed. From then on events of this type are accepted only if their `data` satisfies the schema; earlier events stay. Without a difference the response is 200 without a new version. A tenant has at most 500 types, with 1 MiB of schemas and examples in all.
         *
         *     Requires the permission `webhooks:write`.
         */
        put: operations["registerEventType"];
        post?: never;
        /**
         * Remove an event type
         * @description Events of this type may still be emitted, and are not checked any more.
         *
         *     Requires the permission `webhooks:write`.
         */
        delete: operations["deleteEventType"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List events
         * @description Newest first, ours and yours, each with its first deliveries.
         *
         *     Requires the permission `webhooks:read`.
         */
        get: operations["listEvents"];
        put?: never;
        /**
         * Emit an event of your own
         * @description Every endpoint that subscribes to its type gets it. A second event with the same `event_id` is the first one.
         *
         *     Requires the permission `webhooks:write`.
         */
        post: operations["emitEvent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/events/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get an event
         * @description With its first deliveries and their outcomes.
         *
         *     Requires the permission `webhooks:read`.
         */
        get: operations["getEvent"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/deliveries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List deliveries
         * @description Newest event first, including unsent ones (`filtered`, `disabled`).
         *
         *     Requires the permission `webhooks:read`.
         */
        get: operations["listDeliveries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/deliveries/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a delivery
         * @description With its attempts and their responses.
         *
         *     Requires the permission `webhooks:read`.
         */
        get: operations["getDelivery"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/deliveries/{id}/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a delivery again, now
         * @description Before others, also while the circuit breaker is open, and with a new schedule of retries; also after a success. Its `webhook-id` stays, and attempts are appended to the earlier ones.
         *
         *     Requires the permission `webhooks:write`.
         */
        post: operations["retryDelivery"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit-log": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List audit entries
         * @description Newest first. Each entry was written in the transaction of its change.
         *
         *     Requires the permission `audit:read`.
         */
        get: operations["listAuditEntries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit-log/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Export audit entries
         * @description All entries of the filters as a stream, newest first. CSV cells are written as in the export of orders.
         *
         *     Requires the permission `audit:read`.
         */
        get: operations["exportAuditEntries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit-log/checkpoint": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the newest checkpoint
         * @description The signed head of the tree. Keep it elsewhere: a truncated log no longer matches it.
         *
         *     Requires the permission `audit:read`.
         */
        get: operations["getAuditCheckpoint"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit-log/consistency": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Prove that a later tree begins with an earlier one
         * @description Proves that the log of the first size is an unchanged part of the log of the second size.
         *
         *     Requires the permission `audit:read`.
         */
        get: operations["getAuditConsistency"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit-log/{id}/proof": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Prove that an entry is in the tree
         * @description With a checkpoint of that size and the public key it proves that the log contains the entry unchanged.
         *
         *     Requires the permission `audit:read`.
         */
        get: operations["getAuditProof"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/.well-known/audit-keys.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the public keys of audit logs
         * @description The keys that sign checkpoints, newest first; empty until the first signature.
         */
        get: operations["getAuditKeys"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * This document as JSON
         * @description OpenAPI 3.1, for generators of clients. A request may omit a field with a default: openapi-typescript generates that with `--default-non-nullable=false`.
         */
        get: operations["getOpenApiJson"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.yaml": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * This document as YAML
         * @description The same as `/openapi.json`.
         */
        get: operations["getOpenApiYaml"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/docs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Swagger UI
         * @description This document as an interactive page.
         */
        get: operations["getDocs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/docs/{file}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * A file of Swagger UI
         * @description The scripts, styles and pictures of the page.
         */
        get: operations["getDocsFile"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export interface webhooks {
    "session.revoked": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * session.revoked
         * @description Sessions of a member ended before their time: by signing out, by a person, or with what they rest on.
         */
        post: operations["onSessionRevoked"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "audit.authentication": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * audit.authentication
         * @description An entry of the audit log was appended to its tree, one of OCSF’s class Authentication (3002).
         */
        post: operations["onAuditAuthentication"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "audit.group": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * audit.group
         * @description An entry of the audit log was appended to its tree, one of OCSF’s class Group Management (3006).
         */
        post: operations["onAuditGroup"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "audit.access": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * audit.access
         * @description An entry of the audit log was appended to its tree, one of OCSF’s class User Access Management (3005).
         */
        post: operations["onAuditAccess"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "audit.account": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * audit.account
         * @description An entry of the audit log was appended to its tree, one of OCSF’s class Account Change (3001).
         */
        post: operations["onAuditAccount"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "audit.activity": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * audit.activity
         * @description An entry of the audit log was appended to its tree, one of OCSF’s class API Activity (6003).
         */
        post: operations["onAuditActivity"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "audit.checkpoint": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * audit.checkpoint
         * @description The head of the audit log’s tree, signed; at most one an hour. Keep it: a log that loses its end no longer fits it.
         */
        post: operations["onAuditCheckpoint"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "order.created": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * order.created
         * @description An order was created.
         */
        post: operations["onOrderCreated"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "order.updated": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * order.updated
         * @description An order's notes or metadata were changed. Changes of status have events of their own.
         */
        post: operations["onOrderUpdated"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "order.confirmed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * order.confirmed
         * @description An order was confirmed.
         */
        post: operations["onOrderConfirmed"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "order.processing": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * order.processing
         * @description Work on an order has begun.
         */
        post: operations["onOrderProcessing"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "order.completed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * order.completed
         * @description An order was completed.
         */
        post: operations["onOrderCompleted"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "order.cancelled": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * order.cancelled
         * @description An order was cancelled.
         */
        post: operations["onOrderCancelled"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "tenant.changed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * tenant.changed
         * @description The name, a policy or the status of the tenant changed.
         */
        post: operations["onTenantChanged"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "member.invited": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * member.invited
         * @description A person was invited.
         */
        post: operations["onMemberInvited"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "member.joined": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * member.joined
         * @description A person joined the tenant.
         */
        post: operations["onMemberJoined"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "member.changed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * member.changed
         * @description A member's role or status changed.
         */
        post: operations["onMemberChanged"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "member.removed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * member.removed
         * @description A member left or was removed: the member as it was.
         */
        post: operations["onMemberRemoved"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "sso.changed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * sso.changed
         * @description A domain, connection or directory of single sign-on changed.
         */
        post: operations["onSsoChanged"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "api_key.created": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * api_key.created
         * @description An API key was created.
         */
        post: operations["onApiKeyCreated"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "api_key.revoked": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * api_key.revoked
         * @description An API key was revoked, by a person or with the membership of its person.
         */
        post: operations["onApiKeyRevoked"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "webhook.test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * webhook.test
         * @description A test of an endpoint by a user. Only that endpoint gets it; it describes no change.
         */
        post: operations["onWebhookTest"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "webhook.challenge": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * webhook.challenge
         * @description A request for a receiver's consent. It consents by 200 and `{ "challenge": "…" }` with the same value; before that its endpoint gets nothing else. Only that endpoint gets it, and only if the operator requires consent.
         */
        post: operations["onWebhookChallenge"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "webhook.endpoint.disabled": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * webhook.endpoint.disabled
         * @description A failing endpoint was disabled: it returned 410 Gone, or every delivery has failed for five days. Not emitted if a user disables it.
         */
        post: operations["onWebhookEndpointDisabled"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export interface components {
    schemas: {
        /** @description The token of an invitation, and the data that create or prove the account. */
        AcceptInvitation: {
            /**
             * @description The token of the link in the mail.
             * @example inv_0198c0de7a1170008000000000000002_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA
             */
            token: string;
            /**
             * Format: password
             * @description For a person without an account a new password of 8 to 128 characters; for an account its password, unless the request has a session.
             * @example correct horse battery
             */
            password?: string;
            /**
             * @description The person's name, for a new account.
             * @example Grace
             */
            name?: string | null;
        };
        /** @description The actor of a change. */
        Actor: {
            /**
             * @description The kind of caller.
             * @example user
             * @enum {string}
             */
            type: "user";
            /**
             * Format: uuid
             * @description The caller's id.
             * @example 0198c0de-7a11-7000-8000-0000000000aa
             */
            id: string;
        };
        /** @description A challenge of a sign-in, and one second factor. */
        AnswerChallenge: {
            /**
             * @description `challenge` of the refusal.
             * @example sfc_0198c0de7a11700080000000000000aa_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA
             */
            challenge: string;
            /**
             * @description A code of the authenticator app.
             * @example 492039
             */
            code?: string;
            /**
             * @description A recovery code.
             * @example 0-MFRG-GZDF-MZTW-Q2LK
             */
            recovery_code?: string;
            /** @description The response of the browser to `passkey_options`. */
            passkey?: {
                [key: string]: unknown;
            };
        };
        /** @description An API key, without its text. */
        ApiKey: {
            /**
             * Format: uuid
             * @description The key's id: the actor of its actions.
             * @example 0198c0de-7a11-7000-8000-000000000041
             */
            id: string;
            /**
             * @description A name for people.
             * @example Warehouse
             */
            name: string;
            /**
             * @description Whether it is independent of a person.
             * @example tenant
             * @enum {string}
             */
            kind: "tenant" | "personal";
            /**
             * @description The permissions of the key.
             * @example [
             *       "orders:read",
             *       "orders:write"
             *     ]
             */
            scopes: ("members:read" | "members:manage" | "roles:manage" | "tenant:manage" | "sso:manage" | "api_keys:manage" | "audit:read" | "orders:read" | "orders:write" | "webhooks:read" | "webhooks:write")[];
            /**
             * @description The first 4 characters of the key's random part.
             * @example 6QQ9
             */
            hint: string;
            /**
             * Format: uuid
             * @description Its creator.
             * @example 0198c0de-7a11-7000-8000-0000000000aa
             */
            created_by: string;
            /**
             * Format: date-time
             * @description The time of its end; null: none.
             * @example 2027-01-31T12:00:00.000Z
             */
            expires_at: string | null;
            /**
             * Format: date-time
             * @description When it was last used, at most a minute late.
             * @example 2026-01-31T12:00:00.000Z
             */
            last_used_at: string | null;
            /**
             * @description Networks from which it may be used; empty: all.
             * @example [
             *       "203.0.113.0/24"
             *     ]
             */
            allowed_cidrs: string[];
            /**
             * @description Maximum requests per second.
             * @example 20
             */
            rate_limit: number | null;
            /**
             * @description Grows with each change; the `ETag` is derived from it.
             * @example 1
             */
            version: number;
            /**
             * Format: date-time
             * @description When it was created.
             * @example 2026-01-31T12:00:00.000Z
             */
            created_at: string;
        };
        /** @description A key with its text, which is shown this once. */
        ApiKeyCreated: {
            /**
             * Format: uuid
             * @description The key's id: the actor of its actions.
             * @example 0198c0de-7a11-7000-8000-000000000041
             */
            id: string;
            /**
             * @description A name for people.
             * @example Warehouse
             */
            name: string;
            /**
             * @description Whether it is independent of a person.
             * @example tenant
             * @enum {string}
             */
            kind: "tenant" | "personal";
            /**
             * @description The permissions of the key.
             * @example [
             *       "orders:read",
             *       "orders:write"
             *     ]
             */
            scopes: ("members:read" | "members:manage" | "roles:manage" | "tenant:manage" | "sso:manage" | "api_keys:manage" | "audit:read" | "orders:read" | "orders:write" | "webhooks:read" | "webhooks:write")[];
            /**
             * @description The first 4 characters of the key's random part.
             * @example 6QQ9
             */
            hint: string;
            /**
             * Format: uuid
             * @description Its creator.
             * @example 0198c0de-7a11-7000-8000-0000000000aa
             */
            created_by: string;
            /**
             * Format: date-time
             * @description The time of its end; null: none.
             * @example 2027-01-31T12:00:00.000Z
             */
            expires_at: string | null;
            /**
             * Format: date-time
             * @description When it was last used, at most a minute late.
             * @example 2026-01-31T12:00:00.000Z
             */
            last_used_at: string | null;
            /**
             * @description Networks from which it may be used; empty: all.
             * @example [
             *       "203.0.113.0/24"
             *     ]
             */
            allowed_cidrs: string[];
            /**
             * @description Maximum requests per second.
             * @example 20
             */
            rate_limit: number | null;
            /**
             * @description Grows with each change; the `ETag` is derived from it.
             * @example 1
             */
            version: number;
            /**
             * Format: date-time
             * @description When it was created.
             * @example 2026-01-31T12:00:00.000Z
             */
            created_at: string;
            /**
             * @description The key: for `Authorization: Bearer`. The last 6 characters are a checksum.
             * @example osa_030neMevZyg0J2Hi1BoDsw_6QQ9oBBAMmMDO7u3ateQ6UEUXNF09HN4Msd6PFwMhNS4Lmnc8
             */
            key: string;
        };
        /** @description A page of API keys, newest first. */
        ApiKeyPage: {
            /** @description The keys. */
            data: components["schemas"]["ApiKey"][];
            /**
             * @description The `cursor` of the next page; null on the last one.
             * @example AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE
             */
            next_cursor: string | null;
            /**
             * @description Whether there is a next page.
             * @example true
             */
            has_more: boolean;
        };
        /** @description One attempt of a delivery. */
        Attempt: {
            /**
             * @description Its number, from 1.
             * @example 1
             */
            number: number;
            /**
             * Format: date-time
             * @description When it began.
             * @example 2026-01-31T12:00:00.000Z
             */
            started_at: string;
            /**
             * @description How long it took, milliseconds.
             * @example 87
             */
            duration_ms: number;
            /**
             * @description The status of the response; null without one.
             * @example 200
             */
            response_status: number | null;
            /**
             * @description The first 4 KiB of the response, as text.
             * @example ok
             */
            response_body: string | null;
            /**
             * @description The reason of the failure; null for a success.
             * @example null
             */
            error: string | null;
        };
        /** @description The actor of an entry. */
        AuditActor: {
            /**
             * @description `user`, `api_key`, `operator`, `system`, or `anonymous` for a caller without a credential.
             * @example user
             */
            type: string;
            /**
             * @description Its id, if it has one.
             * @example 0198c0de-7a11-7000-8000-0000000000aa
             */
            id: string | null;
            /**
             * @description The person's address at that time, if it was known and is not erased.
             * @example ada@example.com
             */
            email?: string;
            /**
             * @description By which connection or directory.
             * @example scim
             */
            via?: string;
        };
        /** @description The signed head of the tree of an audit log. */
        AuditCheckpoint: {
            /**
             * @description The name of the log.
             * @example orders-saas-api/audit-log/0198c0de-7a11-7000-8000-000000000002
             */
            origin: string;
            /**
             * @description How many entries the tree has.
             * @example 42
             */
            size: number;
            /**
             * @description The tree's root (RFC 6962), base64.
             * @example q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=
             */
            root_hash: string;
            /**
             * Format: date-time
             * @description When it was signed.
             * @example 2026-01-31T12:00:00.000Z
             */
            signed_at: string;
            /**
             * @description The head as a C2SP `tlog-checkpoint`: a note signed with Ed25519.
             * @example orders-saas-api/audit-log/0198c0de-7a11-7000-8000-000000000002
             *     42
             *     q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=
             *
             *     — orders-saas-api/audit-log/0198c0de-7a11-7000-8000-000000000002 Zm9vYg==
             */
            note: string;
        };
        /** @description That the later tree begins with the earlier one (RFC 6962, section 2.1.2). Hashes are base64. */
        AuditConsistencyProof: {
            /**
             * @description The size of the earlier tree.
             * @example 41
             */
            from: number;
            /**
             * @description The size of the later tree.
             * @example 42
             */
            to: number;
            /**
             * @description As RFC 6962 orders them.
             * @example [
             *       "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="
             *     ]
             */
            hashes: string[];
        };
        /** @description An entry of the audit log. */
        AuditEntry: {
            /**
             * Format: uuid
             * @description The entry's id.
             * @example 0198c0de-7a11-7000-8000-0000000000e1
             */
            id: string;
            /**
             * Format: date-time
             * @description When it happened.
             * @example 2026-01-31T12:00:00.000Z
             */
            occurred_at: string;
            actor: components["schemas"]["AuditActor"];
            /**
             * @description The action.
             * @example webhook_endpoint.updated
             */
            action: string;
            target: components["schemas"]["AuditTarget"];
            /**
             * @description Each changed field, as a list of two: before and after; for a secret only the fact of the change, as `•`.
             * @example {
             *       "enabled": [
             *         true,
             *         false
             *       ]
             *     }
             */
            changes: {
                [key: string]: unknown;
            };
            /**
             * @description The origin of the request: an IPv4 address, or the /64 of an IPv6 address.
             * @example 203.0.113.9
             */
            network: string | null;
            /**
             * @description The `User-Agent` of the request.
             * @example curl/8.5.0
             */
            user_agent: string | null;
            /**
             * @description The id of the request.
             * @example 7f5b3c1e-0d2a-4c6b-9e8f-1a2b3c4d5e6f
             */
            request_id: string | null;
            /**
             * Format: uuid
             * @description The session of the person.
             * @example 0198c0de-7a11-7000-8000-0000000000c1
             */
            session_id: string | null;
            /**
             * @description Whether the action was done, refused, or attempted with a wrong credential.
             * @example success
             * @enum {string}
             */
            outcome: "success" | "denied" | "failure";
            /**
             * @description The number of times: more than one for refusals, which are counted per hour.
             * @example 1
             */
            count: number;
        };
        /** @description An entry of the audit log that its tree contains. */
        AuditEvent: {
            /**
             * Format: uuid
             * @description The entry's id.
             * @example 0198c0de-7a11-7000-8000-0000000000e1
             */
            id: string;
            /**
             * Format: date-time
             * @description When it happened.
             * @example 2026-01-31T12:00:00.000Z
             */
            occurred_at: string;
            actor: components["schemas"]["AuditActor"];
            /**
             * @description The action.
             * @example webhook_endpoint.updated
             */
            action: string;
            target: components["schemas"]["AuditTarget"];
            /**
             * @description Each changed field, as a list of two: before and after; for a secret only the fact of the change, as `•`.
             * @example {
             *       "enabled": [
             *         true,
             *         false
             *       ]
             *     }
             */
            changes: {
                [key: string]: unknown;
            };
            /**
             * @description The origin of the request: an IPv4 address, or the /64 of an IPv6 address.
             * @example 203.0.113.9
             */
            network: string | null;
            /**
             * @description The `User-Agent` of the request.
             * @example curl/8.5.0
             */
            user_agent: string | null;
            /**
             * @description The id of the request.
             * @example 7f5b3c1e-0d2a-4c6b-9e8f-1a2b3c4d5e6f
             */
            request_id: string | null;
            /**
             * Format: uuid
             * @description The session of the person.
             * @example 0198c0de-7a11-7000-8000-0000000000c1
             */
            session_id: string | null;
            /**
             * @description Whether the action was done, refused, or attempted with a wrong credential.
             * @example success
             * @enum {string}
             */
            outcome: "success" | "denied" | "failure";
            /**
             * @description The number of times: more than one for refusals, which are counted per hour.
             * @example 1
             */
            count: number;
            /**
             * @description The entry's place in the tree.
             * @example 41
             */
            leaf_index: number;
            /**
             * @description The entry as an event of the Open Cybersecurity Schema Framework (OCSF 1.3).
             * @example {
             *       "class_uid": 3001,
             *       "class_name": "Account Change",
             *       "activity_id": 99,
             *       "severity_id": 1
             *     }
             */
            ocsf: {
                [key: string]: unknown;
            };
        };
        /** @description A public key of the signatures on audit logs (RFC 8037). */
        AuditKey: {
            /**
             * Format: uuid
             * @description The key's id.
             * @example 0198c0de-7a11-7000-8000-0000000000d1
             */
            kid: string;
            /**
             * @description The kind of key.
             * @example OKP
             * @enum {string}
             */
            kty: "OKP";
            /**
             * @description Its curve.
             * @example Ed25519
             * @enum {string}
             */
            crv: "Ed25519";
            /**
             * @description Its 32 bytes, base64url.
             * @example 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo
             */
            x: string;
            /**
             * @description The algorithm of the key.
             * @example sig
             * @enum {string}
             */
            use: "sig";
            /**
             * @description The algorithm.
             * @example EdDSA
             * @enum {string}
             */
            alg: "EdDSA";
        };
        /** @description The public keys of the signatures on audit logs, the newest first. */
        AuditKeys: {
            /** @description As a JSON Web Key Set. */
            keys: components["schemas"]["AuditKey"][];
        };
        /** @description A page of the audit log. */
        AuditPage: {
            /** @description The entries, newest first. */
            data: components["schemas"]["AuditEntry"][];
            /**
             * @description The `cursor` of the next page; null on the last one.
             * @example AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE
             */
            next_cursor: string | null;
            /**
             * @description Whether there is a next page.
             * @example true
             */
            has_more: boolean;
        };
        /** @description That an entry is in the tree (RFC 6962, section 2.1.1). Hashes are base64. */
        AuditProof: {
            /**
             * @description The entry's place in the tree.
             * @example 41
             */
            leaf_index: number;
            /**
             * @description The size of the tree.
             * @example 42
             */
            size: number;
            /**
             * @description SHA-256 of a zero byte and the canonical bytes.
             * @example q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=
             */
            leaf_hash: string;
            /**
             * @description From the leaf upwards.
             * @example [
             *       "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="
             *     ]
             */
            hashes: string[];
            /**
             * @description The canonical bytes of the entry, base64; `docs/audit-log.md` has the encoding.
             * @example AAAAB3ZlcnNpb24=
             */
            canonical: string;
            /**
             * @description The salt of each personal value, base64; none for an erased value.
             * @example {
             *       "network": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="
             *     }
             */
            salts: {
                [key: string]: string;
            };
        };
        /** @description The target of the action. */
        AuditTarget: {
            /**
             * @description The kind of resource.
             * @example webhook_endpoint
             */
            type: string;
            /**
             * @description Its id, if it has one.
             * @example 0198c0de-7a11-7000-8000-0000000000b1
             */
            id: string | null;
        };
        /** @description The API key that calls. */
        CallingKey: {
            /**
             * Format: uuid
             * @description The key's id.
             * @example 0198c0de-7a11-7000-8000-000000000041
             */
            id: string;
            /**
             * @description The name of the key.
             * @example Warehouse
             */
            name: string;
            /**
             * @description Whether it is independent of a person.
             * @example tenant
             * @enum {string}
             */
            kind: "tenant" | "personal";
        };
        /** @description The response of a receiver that consents: 200 and `{ "challenge": "…" }` with the same value. */
        Challenge: {
            /**
             * @description A random value.
             * @example AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
             */
            challenge: string;
        };
        /** @description The current password and a new one. */
        ChangePassword: {
            /**
             * Format: password
             * @description The current password.
             * @example correct horse battery
             */
            current_password: string;
            /**
             * Format: password
             * @description The new password, 8 to 128 characters.
             * @example a new passphrase
             */
            new_password: string;
        };
        /** @description The new status. */
        ChangeStatus: {
            /**
             * @description pending → confirmed, cancelled; confirmed → processing, cancelled; processing → completed, cancelled.
             * @example confirmed
             */
            status: components["schemas"]["OrderStatus"];
        };
        /** @description The token of a mail, and the password unless the request has a session. */
        ConfirmEmail: {
            /**
             * @description The token of the link in the mail.
             * @example ott_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA
             */
            token: string;
            /**
             * Format: password
             * @description The password.
             * @example correct horse battery
             */
            password?: string;
        };
        /** @description A person with a proved mailbox. */
        Confirmed: {
            user: components["schemas"]["User"];
        };
        /** @description A new API key. */
        CreateApiKey: {
            /**
             * @description A name for people.
             * @example Warehouse
             */
            name: string;
            /**
             * @description `tenant`: independent of persons, requires `api_keys:manage`. `personal`: ends with the membership of its creator.
             * @example tenant
             * @enum {string}
             */
            kind: "tenant" | "personal";
            /**
             * @description The permissions of the key, at most those of its creator. A personal key is also limited to the permissions of its person at the time of a request.
             * @example [
             *       "orders:read",
             *       "orders:write"
             *     ]
             */
            scopes: ("members:read" | "tenant:manage" | "audit:read" | "orders:read" | "orders:write" | "webhooks:read" | "webhooks:write")[];
            /**
             * Format: date-time
             * @description The end of the key; by default none, unless the tenant has a maximum life of keys.
             * @example 2027-01-31T12:00:00.000Z
             */
            expires_at?: string | null;
            /**
             * @description Networks from which the key may be used; empty: all.
             * @example [
             *       "203.0.113.0/24"
             *     ]
             */
            allowed_cidrs?: string[];
            /**
             * @description Requests a second at most, within the limit of the tenant; null for no separate limit.
             * @example 20
             */
            rate_limit?: number | null;
        };
        /** @description A new endpoint. */
        CreateEndpoint: {
            /**
             * Format: uri
             * @description The address of the receiver: `https`, on port 443, 80 or one above 1023, to a host on the public internet, without user info and fragment. The name is resolved and checked for each message.
             * @example https://example.com/webhooks/orders
             */
            url: string;
            /**
             * @description A name for people.
             * @example Warehouse
             */
            description?: string | null;
            /**
             * @description The subscribed events: exact names, `order.*` for all with this prefix, or `*` for all. Names of your own events are allowed. Duplicate entries are removed.
             * @example [
             *       "order.*",
             *       "invoice.paid"
             *     ]
             */
            event_types: string[];
            /**
             * @description Your own headers for each message; at most 20. Names that frame the message, control the connection or begin with `webhook-` are refused, as are `traceparent` and `tracestate`. The values are stored encrypted and shown as `***`; a value `***` in a request keeps the stored value.
             * @example {
             *       "Authorization": "Bearer of-your-own"
             *     }
             */
            headers?: {
                [key: string]: string;
            };
            /**
             * @description Maximum messages per second, over all workers; null for no limit.
             * @example 50
             */
            rate_limit?: number | null;
            /**
             * @description `by_aggregate`: events of one order arrive in their sequence, each after the previous one has arrived or has failed; `none`: as fast as possible.
             * @default none
             * @example none
             * @enum {string}
             */
            ordering?: "none" | "by_aggregate";
            /**
             * @description As in Standard Webhooks: `v1` is HMAC-SHA256 with a shared secret, `v1a` ed25519, whose public key is also at `GET /webhooks/jwks`.
             * @default v1
             * @example v1
             * @enum {string}
             */
            signature?: "v1" | "v1a";
            /**
             * @description `false` makes it disabled.
             * @default true
             * @example true
             */
            enabled?: boolean;
        };
        /** @description An invitation into the tenant. */
        CreateInvitation: {
            /**
             * Format: email
             * @description The address that gets the mail with the link.
             * @example grace@example.com
             */
            email: string;
            /**
             * @description A built-in role (`owner`, `admin`, `member`, `viewer`) or a custom one of the tenant.
             * @example member
             */
            role: string;
        };
        /** @description A new order. */
        CreateOrder: {
            /**
             * Format: uuid
             * @description Your customer's id.
             * @example 3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c
             */
            customer_id: string;
            /** @description A new order. */
            items: components["schemas"]["CreateOrderItem"][];
            /**
             * @description ISO 4217 code, in either case.
             * @example USD
             */
            currency: string;
            /**
             * @description Free text.
             * @example Leave at the door
             */
            notes?: string | null;
            /**
             * @description Your own keys (1 to 40 characters) and values (at most 500), 50 pairs at most.
             * @example {
             *       "channel": "web"
             *     }
             */
            metadata?: {
                [key: string]: string;
            };
        };
        /** @description One line of a new order. */
        CreateOrderItem: {
            /**
             * @description Your product's id.
             * @example prod-1
             */
            product_id: string;
            /**
             * @description The product's name at the time of the order.
             * @example Widget
             */
            product_name: string;
            /**
             * @description The number.
             * @example 2
             */
            quantity: number;
            /**
             * @description Price of one, at least one minor unit, below 10^12, with at most the currency's digits after the point. A decimal string, or a JSON number without an exponent and with at most 15 significant digits.
             * @example 29.99
             */
            unit_price: string | number;
        };
        /** @description New orders, made together. */
        CreateOrders: {
            /** @description All of them are created, or none. */
            orders: components["schemas"]["CreateOrder"][];
        };
        /** @description A new role of the tenant. */
        CreateRole: {
            /**
             * @description Cannot be changed later; not a built-in name.
             * @example support
             */
            name: string;
            /**
             * @description A name for people.
             * @example Answers customers.
             */
            description?: string | null;
            /**
             * @description The permissions of members with the role, at most those of the caller.
             * @example [
             *       "orders:read",
             *       "orders:write"
             *     ]
             */
            permissions: ("members:read" | "members:manage" | "roles:manage" | "tenant:manage" | "api_keys:manage" | "audit:read" | "orders:read" | "orders:write" | "webhooks:read" | "webhooks:write")[];
        };
        /** @description A company. */
        CreateTenant: {
            /**
             * @description The company's name.
             * @example Analytical Engines Ltd
             */
            name: string;
        };
        /** @description How the person signed in. */
        CurrentSession: {
            /**
             * Format: uuid
             * @description The session's id.
             * @example 0198c0de-7a11-7000-8000-0000000000cc
             */
            id: string;
            /**
             * @description The methods used (RFC 8176).
             * @example [
             *       "pwd",
             *       "otp"
             *     ]
             */
            amr: string[];
            /**
             * @description One factor, or two.
             * @example aal2
             * @enum {string}
             */
            acr: "aal1" | "aal2";
            /**
             * Format: date-time
             * @description When the person last proved their identity.
             * @example 2026-01-31T12:00:00.000Z
             */
            auth_time: string;
        };
        /** @description One event for one endpoint. */
        Delivery: {
            /**
             * Format: uuid
             * @description The delivery's id: the `webhook-id` of each of its attempts.
             * @example 0198c0de-7a11-7000-8000-000000000051
             */
            id: string;
            /**
             * Format: uuid
             * @description The endpoint, which may have been removed.
             * @example 0198c0de-7a11-7000-8000-000000000031
             */
            endpoint_id: string;
            /**
             * Format: uuid
             * @description The event.
             * @example 0198c0de-7a11-7000-8000-000000000041
             */
            event_id: string;
            /**
             * @description The event's type.
             * @example order.created
             */
            event_type: string;
            /**
             * @description `pending`: no attempt yet; `retrying`: attempted, with a retry ahead; `succeeded`: a 2xx response; `failed`: every attempt failed; `cancelled`: its endpoint was removed. Never sent: `filtered`, since the endpoint does not subscribe to such events; `disabled`, since the endpoint was disabled, which can be recovered.
             * @example succeeded
             * @enum {string}
             */
            status: "pending" | "succeeded" | "retrying" | "failed" | "cancelled" | "filtered" | "disabled";
            /**
             * @description The number of attempts.
             * @example 1
             */
            attempt_count: number;
            /**
             * Format: date-time
             * @description The time of the next attempt; null without one.
             * @example null
             */
            next_attempt_at: string | null;
            /**
             * Format: date-time
             * @description When the event happened.
             * @example 2026-01-31T12:00:00.000Z
             */
            created_at: string;
            /**
             * Format: date-time
             * @description The time of its end; null while it waits.
             * @example 2026-01-31T12:00:00.000Z
             */
            completed_at: string | null;
        };
        /** @description A delivery with its attempts. */
        DeliveryDetail: {
            /**
             * Format: uuid
             * @description The delivery's id: the `webhook-id` of each of its attempts.
             * @example 0198c0de-7a11-7000-8000-000000000051
             */
            id: string;
            /**
             * Format: uuid
             * @description The endpoint, which may have been removed.
             * @example 0198c0de-7a11-7000-8000-000000000031
             */
            endpoint_id: string;
            /**
             * Format: uuid
             * @description The event.
             * @example 0198c0de-7a11-7000-8000-000000000041
             */
            event_id: string;
            /**
             * @description The event's type.
             * @example order.created
             */
            event_type: string;
            /**
             * @description `pending`: no attempt yet; `retrying`: attempted, with a retry ahead; `succeeded`: a 2xx response; `failed`: every attempt failed; `cancelled`: its endpoint was removed. Never sent: `filtered`, since the endpoint does not subscribe to such events; `disabled`, since the endpoint was disabled, which can be recovered.
             * @example succeeded
             * @enum {string}
             */
            status: "pending" | "succeeded" | "retrying" | "failed" | "cancelled" | "filtered" | "disabled";
            /**
             * @description The number of attempts.
             * @example 1
             */
            attempt_count: number;
            /**
             * Format: date-time
             * @description The time of the next attempt; null without one.
             * @example null
             */
            next_attempt_at: string | null;
            /**
             * Format: date-time
             * @description When the event happened.
             * @example 2026-01-31T12:00:00.000Z
             */
            created_at: string;
            /**
             * Format: date-time
             * @description The time of its end; null while it waits.
             * @example 2026-01-31T12:00:00.000Z
             */
            completed_at: string | null;
            /** @description Its attempts, the first one first; of more than 100 the last ones. */
            attempts: components["schemas"]["Attempt"][];
        };
        /** @description A page of deliveries, newest first. */
        DeliveryPage: {
            /** @description The deliveries. */
            data: components["schemas"]["Delivery"][];
            /**
             * @description The `cursor` of the next page; null on the last one.
             * @example AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE
             */
            next_cursor: string | null;
            /**
             * @description Whether there is a next page.
             * @example true
             */
            has_more: boolean;
        };
        /** @description An e-mail address. */
        Email: {
            /**
             * Format: email
             * @description The address.
             * @example ada@example.com
             */
            email: string;
        };
        /** @description An event of your own. */
        EmitEvent: {
            /**
             * @description Words of `a-z0-9_` with dots between them; not below `order.` or `webhook.`, which belong to the service.
             * @example invoice.paid
             */
            type: string;
            /**
             * @description The content; at most 256 KiB of JSON. Numbers keep their original characters in messages, and are checked as doubles. Checked against the schema of its type, if one is registered.
             * @example {
             *       "invoice": "INV-2041",
             *       "amount": "120.00"
             *     }
             */
            data: {
                [key: string]: unknown;
            };
            /**
             * @description Your own id of the event. A second event with the same id is not emitted: the response is that of the first one.
             * @example invoice-2041-paid
             */
            event_id?: string;
        };
        /** @description Where you receive events. */
        Endpoint: {
            /**
             * Format: uuid
             * @description The endpoint's id.
             * @example 0198c0de-7a11-7000-8000-000000000031
             */
            id: string;
            /**
             * Format: uri
             * @description The address of the receiver. A query is shown as `?***`; `GET …/secret` shows it.
             * @example https://example.com/webhooks/orders
             */
            url: string;
            /**
             * @description A name for people.
             * @example Warehouse
             */
            description: string | null;
            /**
             * @description The subscribed events.
             * @example [
             *       "order.*",
             *       "invoice.paid"
             *     ]
             */
            event_types: string[];
            /**
             * @description Headers of your own. Each value is shown as `***`; `GET …/secret` shows it.
             * @example {
             *       "Authorization": "***"
             *     }
             */
            headers: {
                [key: string]: string;
            };
            /**
             * @description Maximum messages per second.
             * @example 50
             */
            rate_limit: number | null;
            /**
             * @description `by_aggregate`: events of one order arrive in their sequence, each after the previous one has arrived or has failed; `none`: as fast as possible.
             * @example none
             * @enum {string}
             */
            ordering: "none" | "by_aggregate";
            /**
             * @description As in Standard Webhooks: `v1` is HMAC-SHA256 with a shared secret, `v1a` ed25519, whose public key is also at `GET /webhooks/jwks`.
             * @example v1
             * @enum {string}
             */
            signature: "v1" | "v1a";
            /**
             * @description Whether it gets messages.
             * @example true
             */
            enabled: boolean;
            /**
             * @description Present until the receiver has consented: it got `webhook.challenge`, and gets no other event before it has responded with 200 and `{ "challenge": "<the same>" }`. Events in this time are kept as `disabled`. Only if the operator requires consent.
             * @example pending
             * @enum {string}
             */
            consent?: "pending";
            /**
             * @description Why it is disabled: a user, 410 Gone, or five days of failures.
             * @example null
             */
            disabled_reason: string | null;
            /**
             * @description Grows with each change; the `ETag` is derived from it.
             * @example 1
             */
            version: number;
            /**
             * Format: date-time
             * @description When it was created.
             * @example 2026-01-31T12:00:00.000Z
             */
            created_at: string;
            /**
             * Format: date-time
             * @description When it was last changed.
             * @example 2026-01-31T12:00:00.000Z
             */
            updated_at: string;
        };
        /** @description A new endpoint, with its secret. */
        EndpointCreated: {
            /**
             * Format: uuid
             * @description The endpoint's id.
             * @example 0198c0de-7a11-7000-8000-000000000031
             */
            id: string;
            /**
             * Format: uri
             * @description The address of the receiver. A query is shown as `?***`; `GET …/secret` shows it.
             * @example https://example.com/webhooks/orders
             */
            url: string;
            /**
             * @description A name for people.
             * @example Warehouse
             */
            description: string | null;
            /**
             * @description The subscribed events.
             * @example [
             *       "order.*",
             *       "invoice.paid"
             *     ]
             */
            event_types: string[];
            /**
             * @description Headers of your own. Each value is shown as `***`; `GET …/secret` shows it.
             * @example {
             *       "Authorization": "***"
             *     }
             */
            headers: {
                [key: string]: string;
            };
            /**
             * @description Maximum messages per second.
             * @example 50
             */
            rate_limit: number | null;
            /**
             * @description `by_aggregate`: events of one order arrive in their sequence, each after the previous one has arrived or has failed; `none`: as fast as possible.
             * @example none
             * @enum {string}
             */
            ordering: "none" | "by_aggregate";
            /**
             * @description As in Standard Webhooks: `v1` is HMAC-SHA256 with a shared secret, `v1a` ed25519, whose public key is also at `GET /webhooks/jwks`.
             * @example v1
             * @enum {string}
             */
            signature: "v1" | "v1a";
            /**
             * @description Whether it gets messages.
             * @example true
             */
            enabled: boolean;
            /**
             * @description Present until the receiver has consented: it got `webhook.challenge`, and gets no other event before it has responded with 200 and `{ "challenge": "<the same>" }`. Events in this time are kept as `disabled`. Only if the operator requires consent.
             * @example pending
             * @enum {string}
             */
            consent?: "pending";
            /**
             * @description Why it is disabled: a user, 410 Gone, or five days of failures.
             * @example null
             */
            disabled_reason: string | null;
            /**
             * @description Grows with each change; the `ETag` is derived from it.
             * @example 1
             */
            version: number;
            /**
             * Format: date-time
             * @description When it was created.
             * @example 2026-01-31T12:00:00.000Z
             */
            created_at: string;
            /**
             * Format: date-time
             * @description When it was last changed.
             * @example 2026-01-31T12:00:00.000Z
             */
            updated_at: string;
            /**
             * @description The key for verifying signatures: the shared secret `whsec_…`, or for `v1a` the public key `whpk_…`, whose private half is never shown.
             * @example whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazfYh4oMUrk=
             */
            secret: string;
        };
        /** @description A page of endpoints, newest first. */
        EndpointPage: {
            /** @description The endpoints. */
            data: components["schemas"]["Endpoint"][];
            /**
             * @description The `cursor` of the next page; null on the last one.
             * @example AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE
             */
            next_cursor: string | null;
            /**
             * @description Whether there is a next page.
             * @example true
             */
            has_more: boolean;
        };
        /** @description The secret of an endpoint. */
        EndpointSecret: {
            /**
             * @description The key for verifying signatures: the shared secret `whsec_…`, or for `v1a` the public key `whpk_…`, whose private half is never shown.
             * @example whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazfYh4oMUrk=
             */
            secret: string;
        };
        /** @description The secret of an endpoint, and the values that are masked elsewhere. */
        EndpointSecrets: {
            /**
             * @description The key for verifying signatures: the shared secret `whsec_…`, or for `v1a` the public key `whpk_…`, whose private half is never shown.
             * @example whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazfYh4oMUrk=
             */
            secret: string;
            /**
             * Format: uri
             * @description The whole URL, if a part is masked elsewhere.
             * @example https://example.com/webhooks/orders
             */
            url?: string;
            /**
             * @description The headers with their values, if a part is masked elsewhere.
             * @example {
             *       "Authorization": "Bearer of-your-own"
             *     }
             */
            headers?: {
                [key: string]: string;
            };
        };
        /** @description An event, and its receivers. */
        Event: {
            /**
             * Format: uuid
             * @description The event's id.
             * @example 0198c0de-7a11-7000-8000-000000000041
             */
            id: string;
            /**
             * @description The type of the event.
             * @example invoice.paid
             */
            type: string;
            /**
             * Format: date-time
             * @description When it happened.
             * @example 2026-01-31T12:00:00.000Z
             */
            timestamp: string;
            /**
             * @description For the service's own types the resource as the API showed it at that moment, for yours the data that you sent.
             * @example {
             *       "invoice": "INV-2041",
             *       "amount": "120.00"
             *     }
             */
            data: {
                [key: string]: unknown;
            };
            /**
             * Format: uuid
             * @description The resource that changed, such as an order.
             * @example null
             */
            aggregate_id: string | null;
            /**
             * @description The event's number among those of its aggregate.
             * @example null
             */
            sequence: number | null;
            /**
             * @description Your own id of it.
             * @example invoice-2041-paid
             */
            event_id: string | null;
            /**
             * @description The number of endpoints that filtered it. The first 100 of them have a delivery that shows it.
             * @example 0
             */
            filtered_count: number;
            /** @description Its deliveries, the first 100 of them, unsent ones last; they are created within moments. */
            deliveries: components["schemas"]["Delivery"][];
            /**
             * @description Whether there are more: `GET /webhooks/deliveries?event_id=…` lists all.
             * @example false
             */
            has_more_deliveries: boolean;
        };
        /** @description A page of events, newest first. */
        EventPage: {
            /** @description The events. */
            data: components["schemas"]["Event"][];
            /**
             * @description The `cursor` of the next page; null on the last one.
             * @example AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE
             */
            next_cursor: string | null;
            /**
             * @description Whether there is a next page.
             * @example true
             */
            has_more: boolean;
        };
        /** @description A type of event: one of the service, or your own. */
        EventType: {
            /**
             * @description Its name, for `event_types` of an endpoint.
             * @example invoice.paid
             */
            name: string;
            /**
             * @description When it is emitted.
             * @example An invoice was paid in full.
             */
            description: string | null;
            /**
             * @description The subject of `schema` and `example`: the whole body of a message for the service's own types, or its `data` for your registered ones.
             * @example data
             * @enum {string}
             */
            schema_of: "message" | "data";
            /**
             * @description JSON Schema (2020-12).
             * @example {
             *       "type": "object",
             *       "required": [
             *         "invoice",
             *         "amount"
             *       ],
             *       "properties": {
             *         "invoice": {
             *           "type": "string"
             *         },
             *         "amount": {
             *           "type": "string",
             *           "maxLength": 20
             *         }
             *       }
             *     }
             */
            schema: {
                [key: string]: unknown;
            };
            /**
             * @description An example that satisfies the schema.
             * @example {
             *       "invoice": "INV-2041",
             *       "amount": "120.00"
             *     }
             */
            example: {
                [key: string]: unknown;
            } | null;
            /**
             * @description Grows with each change of a type of your own; null for the service's.
             * @example 1
             */
            version: number | null;
            /**
             * Format: date-time
             * @description When it was registered; null for the service's own.
             * @example 2026-01-31T12:00:00.000Z
             */
            created_at: string | null;
            /**
             * Format: date-time
             * @description When it was last changed; null for the service's own.
             * @example 2026-01-31T12:00:00.000Z
             */
            updated_at: string | null;
        };
        /** @description All event types that are available to you. */
        EventTypeList: {
            /** @description The service's types, then yours by their names. */
            data: components["schemas"]["EventType"][];
            /**
             * @description There is one page.
             * @example null
             * @enum {null}
             */
            next_cursor: null;
            /**
             * @description There is one page.
             * @example false
             * @enum {boolean}
             */
            has_more: false;
        };
        /** @description A second factor that is now active. */
        FactorAdded: {
            /**
             * @description With the first factor: each is valid for one sign-in. They are shown once.
             * @example [
             *       "0-MFRG-GZDF-MZTW-Q2LK",
             *       "1-MFRG-GZDF-MZTW-Q2LK",
             *       "2-MFRG-GZDF-MZTW-Q2LK",
             *       "3-MFRG-GZDF-MZTW-Q2LK",
             *       "4-MFRG-GZDF-MZTW-Q2LK",
             *       "5-MFRG-GZDF-MZTW-Q2LK",
             *       "6-MFRG-GZDF-MZTW-Q2LK",
             *       "7-MFRG-GZDF-MZTW-Q2LK",
             *       "8-MFRG-GZDF-MZTW-Q2LK",
             *       "9-MFRG-GZDF-MZTW-Q2LK"
             *     ]
             */
            recovery_codes?: string[];
        };
        /** @description The process responds. */
        Health: {
            /**
             * @description Always `ok`.
             * @example ok
             * @enum {string}
             */
            status: "ok";
        };
        /** @description One hour of an endpoint's attempts. */
        Hour: {
            /**
             * Format: date-time
             * @description When the hour began.
             * @example 2026-01-31T12:00:00.000Z
             */
            hour: string;
            /**
             * @description Attempts with a 2xx response.
             * @example 118
             */
            succeeded: number;
            /**
             * @description Attempts that failed.
             * @example 2
             */
            failed: number;
            /**
             * @description All attempts that began in this hour.
             * @example 120
             */
            attempts: number;
            /** @description Their durations. */
            latency_ms: components["schemas"]["Latency"];
        };
        /** @description An invitation into the tenant, without its token. */
        Invitation: {
            /**
             * Format: uuid
             * @description The invitation's id.
             * @example 0198c0de-7a11-7000-8000-000000000051
             */
            id: string;
            /**
             * Format: email
             * @description The invited address.
             * @example grace@example.com
             */
            email: string;
            /**
             * @description The role that the person will have.
             * @example member
             */
            role: string;
            /**
             * Format: uuid
             * @description The person that created the invitation, or sent it again.
             * @example 0198c0de-7a11-7000-8000-0000000000aa
             */
            invited_by: string;
            /**
             * Format: date-time
             * @description The end of its validity.
             * @example 2026-01-31T12:00:00.000Z
             */
            expires_at: string;
            /**
             * Format: date-time
             * @description When it was created.
             * @example 2026-01-31T12:00:00.000Z
             */
            created_at: string;
            /**
             * @description Grows each time it is sent; the `ETag` is derived from it.
             * @example 1
             */
            version: number;
        };
        /** @description A page of invitations, newest first. */
        InvitationPage: {
            /** @description The invitations. */
            data: components["schemas"]["Invitation"][];
            /**
             * @description The `cursor` of the next page; null on the last one.
             * @example AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE
             */
            next_cursor: string | null;
            /**
             * @description Whether there is a next page.
             * @example true
             */
            has_more: boolean;
        };
        /** @description The content of an invitation. */
        InvitationPreview: {
            tenant: components["schemas"]["InvitingTenant"];
            /**
             * Format: email
             * @description The invited address.
             * @example grace@example.com
             */
            email: string;
            /**
             * @description The role that the person will have.
             * @example member
             */
            role: string;
            /**
             * Format: date-time
             * @description The end of its validity.
             * @example 2026-02-07T12:00:00.000Z
             */
            expires_at: string;
        };
        /** @description The tenant that invites. */
        InvitingTenant: {
            /**
             * @description The name.
             * @example Analytical Engines Ltd
             */
            name: string;
        };
        /** @description A JSON Web Key Set (RFC 7517). */
        Jwks: {
            /** @description The keys. */
            keys: components["schemas"]["PublicKey"][];
        };
        /** @description Durations of attempts, milliseconds; null without attempts. */
        Latency: {
            /**
             * @description The median.
             * @example 85
             */
            p50: number | null;
            /**
             * @description The 95th percentile.
             * @example 210
             */
            p95: number | null;
            /**
             * @description The 99th percentile.
             * @example 480
             */
            p99: number | null;
        };
        /** @description The person who signs in, and the tenant. */
        Login: {
            /**
             * Format: email
             * @description As at registration; case makes no difference.
             * @example ada@example.com
             */
            email: string;
            /**
             * Format: password
             * @description The password.
             * @example correct horse battery
             */
            password: string;
            /**
             * Format: uuid
             * @description The tenant of the session (default: the last used one).
             * @example 0198c0de-7a11-7000-8000-000000000002
             */
            tenant_id?: string;
        };
        /** @description The holder of the credential. */
        Me: {
            /** @description The person; absent for an API key. */
            user?: components["schemas"]["User"];
            /** @description The API key, if one calls. */
            api_key?: components["schemas"]["CallingKey"];
            /** @description The company; null for a session without a tenant. */
            tenant?: {
                /**
                 * Format: uuid
                 * @description The tenant's id.
                 * @example 0198c0de-7a11-7000-8000-000000000002
                 */
                id: string;
                /**
                 * @description The company's name.
                 * @example Analytical Engines Ltd
                 */
                name: string;
                /**
                 * Format: date-time
                 * @description When it was registered.
                 * @example 2026-01-31T12:00:00.000Z
                 */
                created_at: string;
            } | null;
            /**
             * @description The person's role in the tenant.
             * @example owner
             */
            role: string | null;
            /**
             * Format: date-time
             * @description When the person proved the mailbox; null until then.
             * @example 2026-01-31T12:00:00.000Z
             */
            email_verified_at?: string | null;
            second_factor?: components["schemas"]["SecondFactor"];
            session?: components["schemas"]["CurrentSession"];
            /**
             * @description The permissions of the credential, which follow from the role.
             * @example [
             *       "members:read",
             *       "members:manage",
             *       "roles:manage",
             *       "tenant:manage",
             *       "sso:manage",
             *       "api_keys:manage",
             *       "audit:read",
             *       "orders:read",
             *       "orders:write",
             *       "webhooks:read",
             *       "webhooks:write"
             *     ]
             */
            permissions: ("members:read" | "members:manage" | "roles:manage" | "tenant:manage" | "sso:manage" | "api_keys:manage" | "audit:read" | "orders:read" | "orders:write" | "webhooks:read" | "webhooks:write")[];
        };
        /** @description A membership of the tenant. */
        Member: {
            user: components["schemas"]["MemberUser"];
            /**
             * @description A built-in role, or a custom one.
             * @example member
             */
            role: string;
            /**
             * @description A member who is `unconfirmed` must confirm the membership first: the mailbox's owner claimed the account.
             * @example active
             * @enum {string}
             */
            status: "active" | "suspended" | "unconfirmed";
            /**
             * @description Only a `directory` manages its own members.
             * @example user
             * @enum {string}
             */
            managed_by: "user" | "directory";
            /**
             * @description Whether the person has a second factor; shown to callers with `members:manage`.
             * @example true
             */
            second_factor?: boolean;
            /**
             * Format: date-time
             * @description When the person joined.
             * @example 2026-01-31T12:00:00.000Z
             */
            joined_at: string;
            /**
             * Format: date-time
             * @description When the person last signed in to this tenant, or renewed a session of it.
             * @example 2026-01-31T12:00:00.000Z
             */
            last_seen_at: string | null;
            /**
             * @description Grows with each change; the `ETag` is derived from it.
             * @example 1
             */
            version: number;
        };
        /** @description A page of members, the newest accounts first. */
        MemberPage: {
            /** @description The members. */
            data: components["schemas"]["Member"][];
            /**
             * @description The `cursor` of the next page; null on the last one.
             * @example AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE
             */
            next_cursor: string | null;
            /**
             * @description Whether there is a next page.
             * @example true
             */
            has_more: boolean;
        };
        /** @description The person behind a membership. */
        MemberUser: {
            /**
             * Format: uuid
             * @description The person's id.
             * @example 0198c0de-7a11-7000-8000-0000000000aa
             */
            id: string;
            /**
             * Format: email
             * @description The person's address.
             * @example ada@example.com
             */
            email: string;
            /**
             * @description The person's name, if known.
             * @example Ada Lovelace
             */
            name: string | null;
        };
        /** @description The membership of the person in a tenant. */
        Membership: {
            /**
             * Format: uuid
             * @description The tenant's id.
             * @example 0198c0de-7a11-7000-8000-000000000002
             */
            id: string;
            /**
             * @description The company's name.
             * @example Analytical Engines Ltd
             */
            name: string;
            /**
             * @description The person's role there.
             * @example owner
             */
            role: string;
            /**
             * @description `unconfirmed` until the person confirms or declines it.
             * @example active
             * @enum {string}
             */
            status: "active" | "suspended" | "unconfirmed";
            /**
             * Format: date-time
             * @description When the person last signed in there.
             * @example 2026-01-31T12:00:00.000Z
             */
            last_used_at: string;
            contents?: components["schemas"]["MembershipContents"];
        };
        /** @description The contents of a tenant, for a person who has not confirmed the membership yet. */
        MembershipContents: {
            /**
             * @description Members besides the person.
             * @example 3
             */
            other_members: number;
            /**
             * @description The tenant's API keys.
             * @example 1
             */
            tenant_keys: number;
            /**
             * @description Webhook endpoints.
             * @example 0
             */
            endpoints: number;
            /**
             * @description Invitations that wait.
             * @example 0
             */
            pending_invitations: number;
        };
        /** @description A page of the person's tenants. */
        MembershipPage: {
            /** @description The newest first. */
            data: components["schemas"]["Membership"][];
            /**
             * @description The `cursor` of the next page; null on the last one.
             * @example AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE
             */
            next_cursor: string | null;
            /**
             * @description Whether there is a next page.
             * @example true
             */
            has_more: boolean;
        };
        /** @description An order with its items. */
        Order: {
            /**
             * Format: uuid
             * @description The order's id.
             * @example 0198c0de-7a11-7000-8000-000000000001
             */
            id: string;
            /**
             * Format: uuid
             * @description Your customer's id.
             * @example 3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c
             */
            customer_id: string;
            /**
             * @description The status of the order; `PATCH /orders/{id}/status` lists the transitions.
             * @example pending
             */
            status: components["schemas"]["OrderStatus"];
            /**
             * @description Σ quantity × unit_price, exact.
             * @example 59.98
             */
            total_amount: string;
            /**
             * @description ISO 4217 code.
             * @example USD
             */
            currency: string;
            /**
             * @description Free text, unchanged.
             * @example Leave at the door
             */
            notes: string | null;
            /**
             * @description Your own keys and values.
             * @example {
             *       "channel": "web"
             *     }
             */
            metadata: {
                [key: string]: string;
            };
            /** @description In the order they were sent. */
            items: components["schemas"]["OrderItem"][];
            /**
             * @description Grows with each change; the `ETag` is derived from it.
             * @example 1
             */
            version: number;
            /**
             * Format: date-time
             * @description When it was created.
             * @example 2026-01-31T12:00:00.000Z
             */
            created_at: string;
            /**
             * Format: date-time
             * @description When it was last changed.
             * @example 2026-01-31T12:00:00.000Z
             */
            updated_at: string;
        };
        /** @description Orders that were created together. */
        OrderBatch: {
            /** @description In the order they were sent. */
            data: components["schemas"]["Order"][];
        };
        /** @description One change of an order. */
        OrderEvent: {
            /**
             * Format: uuid
             * @description The event's id.
             * @example 0198c0de-7a11-7000-8000-000000000021
             */
            id: string;
            /**
             * @description `order.created`, `order.updated`, or `order.` and the new status.
             * @example order.confirmed
             */
            type: string;
            /**
             * @description The status before; null for the creation.
             * @example pending
             * @enum {string|null}
             */
            from_status: "pending" | "confirmed" | "processing" | "completed" | "cancelled" | null;
            /**
             * @description The status since then.
             * @example confirmed
             */
            to_status: components["schemas"]["OrderStatus"];
            actor: components["schemas"]["Actor"];
            /**
             * Format: date-time
             * @description When it happened.
             * @example 2026-01-31T12:00:00.000Z
             */
            created_at: string;
        };
        /** @description A page of an order's history, newest first. */
        OrderEventPage: {
            /** @description The changes. */
            data: components["schemas"]["OrderEvent"][];
            /**
             * @description The `cursor` of the next page; null on the last one.
             * @example AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE
             */
            next_cursor: string | null;
            /**
             * @description Whether there is a next page.
             * @example true
             */
            has_more: boolean;
        };
        /** @description One line of an order. */
        OrderItem: {
            /**
             * Format: uuid
             * @description The line's id.
             * @example 0198c0de-7a11-7000-8000-000000000011
             */
            id: string;
            /**
             * @description Your product's id.
             * @example prod-1
             */
            product_id: string;
            /**
             * @description The product's name at the time of the order.
             * @example Widget
             */
            product_name: string;
            /**
             * @description The number.
             * @example 2
             */
            quantity: number;
            /**
             * @description Price of one, with exactly the currency's minor units.
             * @example 29.99
             */
            unit_price: string;
        };
        /** @description A page of orders, newest first. */
        OrderPage: {
            /** @description The orders. */
            data: components["schemas"]["Order"][];
            /**
             * @description The `cursor` of the next page; null on the last one.
             * @example AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE
             */
            next_cursor: string | null;
            /**
             * @description Whether there is a next page.
             * @example true
             */
            has_more: boolean;
        };
        /**
         * @description The status of an order.
         * @enum {string}
         */
        OrderStatus: "pending" | "confirmed" | "processing" | "completed" | "cancelled";
        /** @description The company of the caller. */
        OwnTenant: {
            /**
             * Format: uuid
             * @description The tenant's id.
             * @example 0198c0de-7a11-7000-8000-000000000002
             */
            id: string;
            /**
             * @description The company's name.
             * @example Analytical Engines Ltd
             */
            name: string;
            /**
             * @description Whether its credentials are valid.
             * @example active
             * @enum {string}
             */
            status: "active" | "suspended" | "closed";
            /** @description To callers with `tenant:manage`. */
            policies?: components["schemas"]["Policies"];
            /**
             * Format: date-time
             * @description When the company was registered.
             * @example 2026-01-31T12:00:00.000Z
             */
            created_at: string;
            /**
             * @description Grows with each change; the `ETag` is derived from it.
             * @example 1
             */
            version: number;
        };
        /** @description A session of the person, in any tenant. */
        PersonSession: {
            /**
             * Format: uuid
             * @description The session's id.
             * @example 0198c0de-7a11-7000-8000-0000000000cc
             */
            id: string;
            /** @description The tenant; null for a session without one. */
            tenant?: {
                /**
                 * Format: uuid
                 * @description The tenant's id.
                 * @example 0198c0de-7a11-7000-8000-0000000000cc
                 */
                id: string;
                /**
                 * @description Its name.
                 * @example Analytical Engines Ltd
                 */
                name: string;
            } | null;
            /**
             * Format: date-time
             * @description When it began.
             * @example 2026-01-31T12:00:00.000Z
             */
            created_at: string;
            /**
             * Format: date-time
             * @description When it was last continued.
             * @example 2026-01-31T12:00:00.000Z
             */
            last_seen_at: string;
            /**
             * @description The network.
             * @example 203.0.113.9
             */
            network: string | null;
            /**
             * @description The browser.
             * @example curl/8.5.0
             */
            user_agent: string | null;
            /**
             * @description The methods used (RFC 8176).
             * @example [
             *       "pwd"
             *     ]
             */
            amr: string[];
            /**
             * @description Whether it is the session of this request.
             * @example true
             */
            current: boolean;
        };
        /** @description A page of the person's sessions. */
        PersonSessionPage: {
            /** @description The newest first. */
            data: components["schemas"]["PersonSession"][];
            /**
             * @description The `cursor` of the next page; null on the last one.
             * @example AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE
             */
            next_cursor: string | null;
            /**
             * @description Whether there is a next page.
             * @example true
             */
            has_more: boolean;
        };
        /** @description The rules for the sessions and keys that reach the tenant. */
        Policies: {
            /**
             * @description `required`: after the grace days a person without a second factor can only add one.
             * @example optional
             * @enum {string}
             */
            second_factor: "optional" | "required";
            /**
             * @description From the later of the policy and the joining.
             * @example 0
             */
            second_factor_grace_days: number;
            /**
             * @description A session without a request for so long ends; null: never.
             * @example null
             */
            session_idle_minutes: number | null;
            /**
             * @description From the first sign-in; null: as long as the service allows.
             * @example null
             */
            session_max_days: number | null;
            /**
             * @description Networks from which sessions and keys may be used; empty: all.
             * @example [
             *       "203.0.113.0/24"
             *     ]
             */
            allowed_cidrs: string[];
            /**
             * @description The maximum life of a new key; null: none.
             * @example null
             */
            api_key_max_days: number | null;
        };
        /** @description The token of an invitation. */
        PreviewInvitation: {
            /**
             * @description The token of the link in the mail.
             * @example inv_0198c0de7a1170008000000000000002_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA
             */
            token: string;
        };
        /** @description Why a request was refused, or failed (RFC 9457). */
        Problem: {
            /**
             * @description The kind of problem, for programs.
             * @enum {string}
             */
            type: "malformed_request" | "invalid_cursor" | "unauthorized" | "second_factor_required" | "insufficient_user_authentication" | "forbidden" | "sso_link_required" | "second_factor_enrolment_required" | "registration_closed" | "not_found" | "method_not_allowed" | "not_acceptable" | "request_timeout" | "conflict" | "idempotency_in_progress" | "version_conflict" | "payload_too_large" | "unsupported_media_type" | "range_not_satisfiable" | "validation_error" | "token_invalid" | "business_rule_violation" | "idempotency_key_reused" | "rate_limited" | "headers_too_large" | "internal_error" | "not_implemented" | "unavailable" | "http_version_not_supported";
            /**
             * @description The type in words.
             * @enum {string}
             */
            title: "Malformed Request" | "Invalid Cursor" | "Unauthorized" | "Second Factor Required" | "Insufficient User Authentication" | "Forbidden" | "Sso Link Required" | "Second Factor Enrolment Required" | "Registration Closed" | "Not Found" | "Method Not Allowed" | "Not Acceptable" | "Request Timeout" | "Conflict" | "Idempotency In Progress" | "Version Conflict" | "Payload Too Large" | "Unsupported Media Type" | "Range Not Satisfiable" | "Validation Error" | "Token Invalid" | "Business Rule Violation" | "Idempotency Key Reused" | "Rate Limited" | "Headers Too Large" | "Internal Error" | "Not Implemented" | "Unavailable" | "Http Version Not Supported";
            /**
             * @description The status of the response.
             * @enum {integer}
             */
            status: 400 | 401 | 403 | 404 | 405 | 406 | 408 | 409 | 412 | 413 | 415 | 416 | 422 | 429 | 431 | 500 | 501 | 503 | 505;
            /** @description The fault of this request, for people. */
            detail: string;
            /**
             * Format: uri-reference
             * @description The path of the request.
             */
            instance: string;
            /** @description As in `X-Request-Id`: for logs and support. */
            request_id: string;
            /** @description With `validation_error`: every fault. */
            errors?: {
                /**
                 * @description The position, as a dotted path.
                 * @example items.0.quantity
                 */
                field: string;
                /** @description The fault, for people. */
                message: string;
                /** @description The violated rule, for programs. */
                code: string;
            }[];
            /**
             * @description With `second_factor_required`: goes to `POST /auth/second-factor`, with the factor.
             * @example sfc_0198c0de7a1170008000000000000042_0Yw1bUQn5R2hQ8xM3cVt7kJd9sLf4gHaZpXeBnTiOo8
             */
            challenge?: string;
            /**
             * @description With `second_factor_required`: the factors that the person has.
             * @example [
             *       "totp"
             *     ]
             */
            methods?: ("totp" | "passkey")[];
            /**
             * @description With `second_factor_required`: the seconds for which the challenge is valid.
             * @example 300
             */
            expires_in?: number;
            /**
             * @description With `second_factor_required` where the person has a passkey: the options for the browser.
             * @example {}
             */
            passkey_options?: {
                [key: string]: unknown;
            };
        };
        /** @description A public key (RFC 8037). */
        PublicKey: {
            /**
             * @description The kind of key.
             * @example OKP
             * @enum {string}
             */
            kty: "OKP";
            /**
             * @description The curve.
             * @example Ed25519
             * @enum {string}
             */
            crv: "Ed25519";
            /**
             * @description The key, 32 bytes in base64url.
             * @example 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo
             */
            x: string;
            /**
             * @description The use of the key.
             * @example sig
             * @enum {string}
             */
            use: "sig";
            /**
             * @description The algorithm.
             * @example EdDSA
             * @enum {string}
             */
            alg: "EdDSA";
            /**
             * @description The endpoint's id; with `/previous` after it for the key that a rotation replaced, while both sign.
             * @example 0198c0de-7a11-7000-8000-000000000031
             */
            kid: string;
        };
        /** @description Whether requests can be served, and the reasons if not. */
        Readiness: {
            /**
             * @description `ok` if every check is.
             * @example ok
             * @enum {string}
             */
            status: "ok" | "unavailable";
            /**
             * @description Each check, with `ok` or its fault.
             * @example {
             *       "database": "ok",
             *       "migrations": "ok"
             *     }
             */
            checks: {
                [key: string]: string;
            };
        };
        /** @description Which deliveries are sent again, by the time of their events. */
        Recover: {
            /**
             * Format: date-time
             * @description From this time on.
             * @example 2026-01-31T12:00:00.000Z
             */
            since: string;
            /**
             * Format: date-time
             * @description Up to, and not including, this time; by default now.
             * @example 2026-01-31T18:00:00.000Z
             */
            until?: string;
        };
        /** @description How many deliveries are sent again. */
        Recovered: {
            /**
             * @description Deliveries that are due again.
             * @example 42
             */
            count: number;
        };
        /** @description Recovery codes. They are shown once. */
        RecoveryCodes: {
            /**
             * @description Each is valid for one sign-in.
             * @example [
             *       "0-MFRG-GZDF-MZTW-Q2LK",
             *       "1-MFRG-GZDF-MZTW-Q2LK",
             *       "2-MFRG-GZDF-MZTW-Q2LK",
             *       "3-MFRG-GZDF-MZTW-Q2LK",
             *       "4-MFRG-GZDF-MZTW-Q2LK",
             *       "5-MFRG-GZDF-MZTW-Q2LK",
             *       "6-MFRG-GZDF-MZTW-Q2LK",
             *       "7-MFRG-GZDF-MZTW-Q2LK",
             *       "8-MFRG-GZDF-MZTW-Q2LK",
             *       "9-MFRG-GZDF-MZTW-Q2LK"
             *     ]
             */
            recovery_codes: string[];
        };
        /** @description A refresh token. */
        Refresh: {
            /**
             * @description The newest refresh token of the session.
             * @example rt_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA
             */
            refresh_token: string;
        };
        /** @description The tenant that refused the person, with the reason: the session then has no tenant. */
        Refused: {
            /**
             * Format: uuid
             * @description The tenant's id.
             * @example 0198c0de-7a11-7000-8000-000000000002
             */
            tenant_id: string;
            /**
             * @description The reason.
             * @example suspended
             * @enum {string}
             */
            reason: "sso" | "network" | "suspended";
            /**
             * Format: uuid
             * @description The connection to sign in by.
             * @example 0198c0de-7a11-7000-8000-0000000000cc
             */
            connection_id?: string;
        };
        /** @description A company and its first person. */
        Register: {
            /**
             * Format: email
             * @description Signs the person in; compared without case.
             * @example ada@example.com
             */
            email: string;
            /**
             * Format: password
             * @description 8 to 128 characters.
             * @example correct horse battery
             */
            password: string;
            /**
             * @description The person's name.
             * @example Ada Lovelace
             */
            name?: string | null;
            /**
             * @description The company's name.
             * @example Analytical Engines Ltd
             */
            tenant_name: string;
        };
        /** @description The form of events of your own type. */
        RegisterEventType: {
            /**
             * @description When it is emitted.
             * @example An invoice was paid in full.
             */
            description?: string | null;
            /**
             * @description JSON Schema (2020-12) of `data`, at most 16 KiB. Every keyword of the draft but `pattern`, `patternProperties`, `unevaluated…`, `contentSchema`, `$id`, `$anchor` and `$dynamic…`; `$ref` to `#` and `#/$defs/…`; the formats `date`, `time`, `date-time`, `email`, `hostname`, `ipv4`, `ipv6`, `uri` and `uuid`, which are checked. An unknown keyword is refused, unless it begins with `x-`.
             * @example {
             *       "type": "object",
             *       "required": [
             *         "invoice",
             *         "amount"
             *       ],
             *       "properties": {
             *         "invoice": {
             *           "type": "string"
             *         },
             *         "amount": {
             *           "type": "string",
             *           "maxLength": 20
             *         }
             *       }
             *     }
             */
            schema: {
                [key: string]: unknown;
            };
            /**
             * @description `data` that satisfies the schema, at most 16 KiB.
             * @example {
             *       "invoice": "INV-2041",
             *       "amount": "120.00"
             *     }
             */
            example?: {
                [key: string]: unknown;
            } | null;
        };
        /** @description The token of a reset, and the new password. */
        ResetPassword: {
            /**
             * @description The token of the link in the mail.
             * @example ott_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA
             */
            token: string;
            /**
             * Format: password
             * @description The new password, 8 to 128 characters.
             * @example a new passphrase
             */
            password: string;
        };
        /** @description A named set of permissions. */
        Role: {
            /**
             * @description The name.
             * @example support
             */
            name: string;
            /**
             * @description A name for people.
             * @example Answers customers.
             */
            description: string | null;
            /**
             * @description The permissions of members with the role.
             * @example [
             *       "orders:read",
             *       "orders:write"
             *     ]
             */
            permissions: ("members:read" | "members:manage" | "roles:manage" | "tenant:manage" | "sso:manage" | "api_keys:manage" | "audit:read" | "orders:read" | "orders:write" | "webhooks:read" | "webhooks:write")[];
            /**
             * @description Whether every tenant has it; such a role cannot be changed.
             * @example false
             */
            built_in: boolean;
            /**
             * @description How many members have it.
             * @example 3
             */
            member_count: number;
            /**
             * @description Grows with each change; the `ETag` is derived from it.
             * @example 1
             */
            version: number;
        };
        /** @description A page of roles: custom ones newest first, then those built in. */
        RolePage: {
            /** @description The roles. */
            data: components["schemas"]["Role"][];
            /**
             * @description The `cursor` of the next page; null on the last one.
             * @example AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE
             */
            next_cursor: string | null;
            /**
             * @description Whether there is a next page.
             * @example true
             */
            has_more: boolean;
        };
        /** @description The validity of the old text of the key. */
        RotateApiKey: {
            /**
             * @description Seconds for which earlier texts stay valid; 0 for a leaked key.
             * @default 86400
             * @example 86400
             */
            overlap_seconds?: number;
        };
        /** @description The rotation of a secret. */
        RotateSecret: {
            /**
             * @description The time in which the old secret also signs, seconds: 0 to 7 days. A secret that was still signing from an earlier rotation ends now.
             * @default 86400
             * @example 86400
             */
            overlap_seconds?: number;
        };
        /** @description The person's second factors. */
        SecondFactor: {
            /**
             * @description Whether there is one.
             * @example true
             */
            enabled: boolean;
            /**
             * @description Their kinds.
             * @example [
             *       "totp"
             *     ]
             */
            methods: ("totp" | "passkey")[];
        };
        /** @description Sessions of one person in the tenant that ended before their time. */
        SessionRevocation: {
            /**
             * Format: uuid
             * @description The person.
             * @example 0198c0de-7a11-7000-8000-000000000042
             */
            user_id: string;
            /**
             * @description The sessions, at most 1000 of them; if more have ended, the rest is omitted.
             * @example [
             *       "0198c0de-7a11-7000-8000-000000000099"
             *     ]
             */
            session_ids: string[];
            /**
             * @description The reason of their end.
             * @example ended_by_member
             * @enum {string}
             */
            reason: "signed_out" | "ended_by_person" | "ended_by_member" | "membership_ended" | "password_changed" | "password_reset" | "account_claimed" | "address_change_undone" | "account_deleted" | "account_restored" | "refresh_token_reused";
            /**
             * Format: date-time
             * @description The time of their end.
             * @example 2026-01-31T12:00:00.000Z
             */
            revoked_at: string;
        };
        /** @description A new session: person, tenant, and the first pair of tokens. */
        SignedIn: {
            /**
             * @description A JWT, for `Authorization: Bearer`.
             * @example eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTk4In0.c2lnbmF0dXJl
             */
            access_token: string;
            /**
             * @description For `POST /auth/refresh`, once.
             * @example rt_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA
             */
            refresh_token: string;
            /**
             * @description The scheme of the access token.
             * @example Bearer
             * @enum {string}
             */
            token_type: "Bearer";
            /**
             * @description Life of the access token, seconds.
             * @example 900
             */
            expires_in: number;
            user: components["schemas"]["User"];
            /** @description The company; null for a session without a tenant. */
            tenant?: {
                /**
                 * Format: uuid
                 * @description The tenant's id.
                 * @example 0198c0de-7a11-7000-8000-000000000002
                 */
                id: string;
                /**
                 * @description The company's name.
                 * @example Analytical Engines Ltd
                 */
                name: string;
                /**
                 * Format: date-time
                 * @description When it was registered.
                 * @example 2026-01-31T12:00:00.000Z
                 */
                created_at: string;
            } | null;
            refused?: components["schemas"]["Refused"];
        };
        /** @description A change of the tenant's single sign-on. */
        SsoChange: {
            /**
             * @description The kind of thing that changed.
             * @example domain
             * @enum {string}
             */
            subject: "domain" | "connection" | "directory";
            /**
             * Format: uuid
             * @description Its id.
             * @example 0198c0de-7a11-7000-8000-000000000051
             */
            id: string;
            /**
             * @description The change. A domain lapses when it can no longer be verified.
             * @example verified
             * @enum {string}
             */
            change: "created" | "verified" | "changed" | "lapsed" | "deleted";
            /**
             * Format: date-time
             * @description When it changed.
             * @example 2026-01-31T12:00:00.000Z
             */
            changed_at: string;
        };
        /** @description The statistics of an endpoint. */
        Stats: {
            /** @description Every hour of the time, the oldest first; one without attempts has zeros. */
            data: components["schemas"]["Hour"][];
        };
        /** @description One proof: the password, a code, or a passkey. */
        StepUp: {
            /**
             * Format: password
             * @description The password.
             * @example correct horse battery
             */
            password?: string;
            /**
             * @description A code of the authenticator app.
             * @example 492039
             */
            code?: string;
            /** @description The response of the browser to `passkey_options`. */
            passkey?: {
                [key: string]: unknown;
            };
        };
        /** @description The accepted confirmations of the person. */
        StepUpOptions: {
            /**
             * @description The proofs that the person can give.
             * @example [
             *       "code"
             *     ]
             */
            methods: ("password" | "code" | "passkey")[];
            /** @description For `navigator.credentials.get`, if there is a passkey. */
            passkey_options?: {
                [key: string]: unknown;
            };
        };
        /** @description A tenant of the person. */
        SwitchTenant: {
            /**
             * Format: uuid
             * @description The tenant to act in.
             * @example 0198c0de-7a11-7000-8000-000000000002
             */
            tenant_id: string;
        };
        /** @description An export of all data of the tenant. */
        TenantExport: {
            /**
             * Format: uuid
             * @description The export's id.
             * @example 0198c0de-7a11-7000-8000-000000000071
             */
            id: string;
            /**
             * @description The archive can be read immediately: it is created while it is read.
             * @example ready
             * @enum {string}
             */
            status: "ready";
            /**
             * Format: uuid
             * @description The owner that requested it.
             * @example 0198c0de-7a11-7000-8000-0000000000aa
             */
            created_by: string;
            /**
             * Format: date-time
             * @description When it was requested.
             * @example 2026-01-31T12:00:00.000Z
             */
            created_at: string;
            /**
             * Format: date-time
             * @description The end of the availability of its archive.
             * @example 2026-01-31T12:00:00.000Z
             */
            expires_at: string;
            /**
             * @description The `ETag` is derived from it.
             * @example 1
             */
            version: number;
        };
        /** @description The token of a mail. */
        Token: {
            /**
             * @description The token of the link in the mail.
             * @example ott_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA
             */
            token: string;
        };
        /** @description A pair of tokens. */
        Tokens: {
            /**
             * @description A JWT, for `Authorization: Bearer`.
             * @example eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTk4In0.c2lnbmF0dXJl
             */
            access_token: string;
            /**
             * @description For `POST /auth/refresh`, once.
             * @example rt_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA
             */
            refresh_token: string;
            /**
             * @description The scheme of the access token.
             * @example Bearer
             * @enum {string}
             */
            token_type: "Bearer";
            /**
             * @description Life of the access token, seconds.
             * @example 900
             */
            expires_in: number;
        };
        /** @description A code of the authenticator app. */
        TotpCode: {
            /**
             * @description Six digits.
             * @example 492039
             */
            code: string;
        };
        /** @description The setup data of an authenticator app, shown once. */
        TotpOffer: {
            /**
             * @description The secret, base32.
             * @example GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ
             */
            secret: string;
            /**
             * @description The same as a link for the app.
             * @example otpauth://totp/Orders:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Orders
             */
            otpauth_uri: string;
            /**
             * @description The link as a QR code.
             * @example <svg xmlns="http://www.w3.org/2000/svg"/>
             */
            qr_svg: string;
        };
        /** @description Omitted fields stay as they are; `scopes` and `allowed_cidrs` are replaced as a whole. */
        UpdateApiKey: {
            /**
             * @description A name for people.
             * @example Warehouse
             */
            name?: string;
            /**
             * @description The permissions of the key, at most those of its creator. A personal key is also limited to the permissions of its person at the time of a request.
             * @example [
             *       "orders:read",
             *       "orders:write"
             *     ]
             */
            scopes?: ("members:read" | "tenant:manage" | "audit:read" | "orders:read" | "orders:write" | "webhooks:read" | "webhooks:write")[];
            /**
             * Format: date-time
             * @description When the key ends; null: it does not.
             * @example 2027-01-31T12:00:00.000Z
             */
            expires_at?: string | null;
            /**
             * @description Networks from which the key may be used; empty: all.
             * @example [
             *       "203.0.113.0/24"
             *     ]
             */
            allowed_cidrs?: string[];
            /**
             * @description Requests a second at most, within the limit of the tenant; null for no separate limit.
             * @example 20
             */
            rate_limit?: number | null;
        };
        /** @description Omitted fields stay as they are; `event_types` and `headers` are replaced as a whole. */
        UpdateEndpoint: {
            /**
             * Format: uri
             * @description The address of the receiver: `https`, on port 443, 80 or one above 1023, to a host on the public internet, without user info and fragment. The name is resolved and checked for each message.
             * @example https://example.com/webhooks/orders
             */
            url?: string;
            /**
             * @description A name for people.
             * @example Warehouse
             */
            description?: string | null;
            /**
             * @description The subscribed events: exact names, `order.*` for all with this prefix, or `*` for all. Names of your own events are allowed. Duplicate entries are removed.
             * @example [
             *       "order.*",
             *       "invoice.paid"
             *     ]
             */
            event_types?: string[];
            /**
             * @description Your own headers for each message; at most 20. Names that frame the message, control the connection or begin with `webhook-` are refused, as are `traceparent` and `tracestate`. The values are stored encrypted and shown as `***`; a value `***` in a request keeps the stored value.
             * @example {
             *       "Authorization": "Bearer of-your-own"
             *     }
             */
            headers?: {
                [key: string]: string;
            };
            /**
             * @description Maximum messages per second, over all workers; null for no limit.
             * @example 50
             */
            rate_limit?: number | null;
            /**
             * @description `by_aggregate`: events of one order arrive in their sequence, each after the previous one has arrived or has failed; `none`: as fast as possible.
             * @example by_aggregate
             * @enum {string}
             */
            ordering?: "none" | "by_aggregate";
            /**
             * @description As in Standard Webhooks: `v1` is HMAC-SHA256 with a shared secret, `v1a` ed25519, whose public key is also at `GET /webhooks/jwks`. A change creates a new secret; the old one also signs for a day.
             * @example v1
             * @enum {string}
             */
            signature?: "v1" | "v1a";
            /**
             * @description `false` disables it: waiting deliveries are kept as `disabled`. `true` enables it and clears `disabled_reason`; recovery sends the kept ones.
             * @example true
             */
            enabled?: boolean;
        };
        /** @description A change of the own account. */
        UpdateMe: {
            /**
             * @description The person's name; null for none.
             * @example Ada Lovelace
             */
            name?: string | null;
        };
        /** @description Omitted fields stay as they are. */
        UpdateMember: {
            /**
             * @description A built-in role (`owner`, `admin`, `member`, `viewer`) or a custom one of the tenant.
             * @example member
             */
            role?: string;
            /**
             * @description `suspended` ends the sessions and personal keys here; `active` allows the person to sign in again.
             * @example active
             * @enum {string}
             */
            status?: "active" | "suspended";
        };
        UpdateOrder: {
            /**
             * @description New notes; null removes them.
             * @example Ring twice
             */
            notes?: string | null;
            /**
             * @description Merged into the stored metadata; a null value removes its key.
             * @example {
             *       "channel": "phone",
             *       "coupon": null
             *     }
             */
            metadata?: {
                [key: string]: string | null;
            };
        };
        /** @description Omitted fields stay as they are; `permissions` are replaced as a whole. */
        UpdateRole: {
            /**
             * @description A name for people.
             * @example Answers customers.
             */
            description?: string | null;
            /**
             * @description The permissions of members with the role, at most those of the caller.
             * @example [
             *       "orders:read",
             *       "orders:write"
             *     ]
             */
            permissions?: ("members:read" | "members:manage" | "roles:manage" | "tenant:manage" | "api_keys:manage" | "audit:read" | "orders:read" | "orders:write" | "webhooks:read" | "webhooks:write")[];
        };
        /** @description Omitted fields stay as they are, in `policies` too. */
        UpdateTenant: {
            /**
             * @description The company's name.
             * @example Analytical Engines Ltd
             */
            name?: string;
            /**
             * @description For owners. A change that would lock out its own author is refused.
             * @example {
             *       "second_factor": "required",
             *       "second_factor_grace_days": 14
             *     }
             */
            policies?: {
                /**
                 * @description `required`: after the grace days a person without a second factor can only add one.
                 * @example optional
                 * @enum {string}
                 */
                second_factor?: "optional" | "required";
                /**
                 * @description From the later of the policy and the joining.
                 * @example 0
                 */
                second_factor_grace_days?: number;
                /**
                 * @description A session without a request for so long ends; null: never.
                 * @example null
                 */
                session_idle_minutes?: number | null;
                /**
                 * @description From the first sign-in; null: as long as the service allows.
                 * @example null
                 */
                session_max_days?: number | null;
                /**
                 * @description Networks from which sessions and keys may be used; empty: all.
                 * @example [
                 *       "203.0.113.0/24"
                 *     ]
                 */
                allowed_cidrs?: string[];
                /**
                 * @description The maximum life of a new key; null: none.
                 * @example null
                 */
                api_key_max_days?: number | null;
            };
        };
        /** @description The usage of a tenant, meter by meter. */
        Usage: {
            /** @description The meters. */
            data: components["schemas"]["UsageReading"][];
        };
        /** @description Something that is counted of a tenant. */
        UsageReading: {
            /**
             * @description The name of the meter.
             * @example webhook_endpoints
             */
            name: string;
            /**
             * @description How much is used.
             * @example 12
             */
            used: number;
            /**
             * @description The limit; null without one.
             * @example 1000
             */
            limit: number | null;
            /**
             * Format: date-time
             * @description When a daily amount is reset; null for a count.
             * @example null
             */
            resets_at: string | null;
        };
        /** @description A person. */
        User: {
            /**
             * Format: uuid
             * @description The person's id.
             * @example 0198c0de-7a11-7000-8000-0000000000aa
             */
            id: string;
            /**
             * Format: email
             * @description As it was registered.
             * @example ada@example.com
             */
            email: string;
            /**
             * @description The person's name, if known.
             * @example Ada Lovelace
             */
            name: string | null;
            /**
             * Format: date-time
             * @description When the person was registered.
             * @example 2026-01-31T12:00:00.000Z
             */
            created_at: string;
        };
        /** @description A registration that waits for its mailbox to be proved. */
        VerificationSent: {
            /**
             * @description The same for every address.
             * @example verification_sent
             * @enum {string}
             */
            status: "verification_sent";
        };
        /** @description The token of a mail, and the data that create or confirm the account. */
        VerifyEmail: {
            /**
             * @description The token of the link in the mail.
             * @example ott_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA
             */
            token: string;
            /**
             * Format: password
             * @description The new password of a pending registration, or the current one of an account.
             * @example correct horse battery
             */
            password?: string;
            /**
             * @description The person's name, of a pending registration.
             * @example Ada
             */
            name?: string | null;
            /**
             * @description The company's name, of a pending registration.
             * @example Analytical Engines Ltd
             */
            tenant_name?: string;
        };
    };
    responses: {
        /**
         * @description `conflict`: The request contradicts the current state.
         *
         *     `idempotency_in_progress`: The first request with this `Idempotency-Key` is still running: try again.
         */
        APIKeysConflictOrIdempotencyInProgress: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "Retry-After": components["headers"]["Retry-After"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "conflict" | "idempotency_in_progress";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Conflict" | "Idempotency In Progress";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 409;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `forbidden`: The credential is valid, but has no permission for this. */
        APIKeysForbidden: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "forbidden";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Forbidden";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 403;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `conflict`: The request contradicts the current state. */
        AccountConflict: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "conflict";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Conflict";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 409;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `forbidden`: The credential is valid, but has no permission for this. */
        AccountForbidden: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "forbidden";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Forbidden";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 403;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /**
         * @description `forbidden`: The credential is valid, but has no permission for this.
         *
         *     `registration_closed`: This service accepts no registrations: ask for an invitation.
         */
        AccountForbiddenOrRegistrationClosed: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "forbidden" | "registration_closed";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Forbidden" | "Registration Closed";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 403;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /**
         * @description `forbidden`: The credential is valid, but has no permission for this.
         *
         *     `second_factor_enrolment_required`: The tenant demands a second factor, and the person has none: add one first.
         */
        AccountForbiddenOrSecondFactorEnrolmentRequired: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "forbidden" | "second_factor_enrolment_required";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Forbidden" | "Second Factor Enrolment Required";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 403;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `not_found`: The resource does not exist, or belongs to another tenant; both get the same response. */
        AccountNotFound: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "not_found";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Not Found";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 404;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `unauthorized`: The credential is missing, or not valid (any more). */
        AccountUnauthorized: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "unauthorized";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Unauthorized";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 401;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /**
         * @description `unauthorized`: The credential is missing, or not valid (any more).
         *
         *     `insufficient_user_authentication`: The sign-in is older than ten minutes, or lacks the second factor: step up, then try again (RFC 9470).
         */
        AccountUnauthorizedOrInsufficientUserAuthentication: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "unauthorized" | "insufficient_user_authentication";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Unauthorized" | "Insufficient User Authentication";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 401;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `business_rule_violation`: The request is well-formed, but a business rule forbids it in the current state. */
        AuditLogBusinessRuleViolation: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "business_rule_violation";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Business Rule Violation";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 422;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `rate_limited`: Too many requests: wait as long as `Retry-After` specifies. */
        AuditLogRateLimited: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "Retry-After": components["headers"]["Retry-After"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "rate_limited";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Rate Limited";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 429;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `conflict`: The request contradicts the current state. */
        AuthConflict: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "conflict";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Conflict";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 409;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `not_found`: The resource does not exist, or belongs to another tenant; both get the same response. */
        AuthNotFound: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "not_found";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Not Found";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 404;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `rate_limited`: Too many requests: wait as long as `Retry-After` specifies. */
        AuthRateLimited: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "Retry-After": components["headers"]["Retry-After"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "rate_limited";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Rate Limited";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 429;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `registration_closed`: This service accepts no registrations: ask for an invitation. */
        AuthRegistrationClosed: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "registration_closed";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Registration Closed";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 403;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `unauthorized`: The credential is missing, or not valid (any more). */
        AuthUnauthorized: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "unauthorized";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Unauthorized";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 401;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /**
         * @description `unauthorized`: The credential is missing, or not valid (any more).
         *
         *     `insufficient_user_authentication`: The sign-in is older than ten minutes, or lacks the second factor: step up, then try again (RFC 9470).
         */
        AuthUnauthorizedOrInsufficientUserAuthentication: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "unauthorized" | "insufficient_user_authentication";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Unauthorized" | "Insufficient User Authentication";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 401;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /**
         * @description `unauthorized`: The credential is missing, or not valid (any more).
         *
         *     `second_factor_required`: The password is right, and a second factor is due: send it with the challenge.
         */
        AuthUnauthorizedOrSecondFactorRequired: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "unauthorized" | "second_factor_required";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Unauthorized" | "Second Factor Required";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 401;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                    /**
                     * @description With `second_factor_required`: goes to `POST /auth/second-factor`, with the factor.
                     * @example sfc_0198c0de7a1170008000000000000042_0Yw1bUQn5R2hQ8xM3cVt7kJd9sLf4gHaZpXeBnTiOo8
                     */
                    challenge?: string;
                    /**
                     * @description With `second_factor_required`: the factors that the person has.
                     * @example [
                     *       "totp"
                     *     ]
                     */
                    methods?: ("totp" | "passkey")[];
                    /**
                     * @description With `second_factor_required`: the seconds for which the challenge is valid.
                     * @example 300
                     */
                    expires_in?: number;
                    /**
                     * @description With `second_factor_required` where the person has a passkey: the options for the browser.
                     * @example {}
                     */
                    passkey_options?: {
                        [key: string]: unknown;
                    };
                };
            };
        };
        /** @description `not_found`: The resource does not exist, or belongs to another tenant; both get the same response. */
        DeliveryNotFound: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "not_found";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Not Found";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 404;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `range_not_satisfiable`: The `Range` header is outside of the file. */
        DocumentsRangeNotSatisfiable: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "Content-Range": components["headers"]["Content-Range"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "range_not_satisfiable";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Range Not Satisfiable";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 416;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `version_conflict`: The resource has changed since the version named in `If-Match`: read it again, then decide. */
        DocumentsVersionConflict: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "version_conflict";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Version Conflict";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 412;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `not_found`: The resource does not exist, or belongs to another tenant; both get the same response. */
        EndpointNotFound: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "not_found";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Not Found";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 404;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `not_found`: The resource does not exist, or belongs to another tenant; both get the same response. */
        EntryNotFound: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "not_found";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Not Found";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 404;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `not_found`: The resource does not exist, or belongs to another tenant; both get the same response. */
        EventNotFound: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "not_found";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Not Found";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 404;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `not_found`: The resource does not exist, or belongs to another tenant; both get the same response. */
        ExportNotFound: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "not_found";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Not Found";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 404;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `forbidden`: The credential is valid, but has no permission for this. */
        Forbidden: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "forbidden";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Forbidden";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 403;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /**
         * @description `forbidden`: The credential is valid, but has no permission for this.
         *
         *     `second_factor_enrolment_required`: The tenant demands a second factor, and the person has none: add one first.
         */
        ForbiddenOrSecondFactorEnrolmentRequired: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "forbidden" | "second_factor_enrolment_required";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Forbidden" | "Second Factor Enrolment Required";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 403;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `idempotency_in_progress`: The first request with this `Idempotency-Key` is still running: try again. */
        IdempotencyInProgress: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "Retry-After": components["headers"]["Retry-After"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "idempotency_in_progress";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Idempotency In Progress";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 409;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `internal_error`: The service failed; report the request id. */
        InternalError: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "internal_error";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Internal Error";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 500;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `not_found`: The resource does not exist, or belongs to another tenant; both get the same response. */
        InvitationNotFound: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "not_found";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Not Found";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 404;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /**
         * @description `conflict`: The request contradicts the current state.
         *
         *     `idempotency_in_progress`: The first request with this `Idempotency-Key` is still running: try again.
         */
        InvitationsConflictOrIdempotencyInProgress: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "Retry-After": components["headers"]["Retry-After"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "conflict" | "idempotency_in_progress";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Conflict" | "Idempotency In Progress";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 409;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `not_found`: The resource does not exist, or belongs to another tenant; both get the same response. */
        KeyNotFound: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "not_found";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Not Found";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 404;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `malformed_request`: The request could not be read: its JSON, its address or its headers are invalid, or the body is missing. */
        MalformedRequest: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "malformed_request";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Malformed Request";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 400;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /**
         * @description `malformed_request`: The request could not be read: its JSON, its address or its headers are invalid, or the body is missing.
         *
         *     `invalid_cursor`: The cursor is not from this list, tenant and filters: start again without it.
         */
        MalformedRequestOrInvalidCursor: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "malformed_request" | "invalid_cursor";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Malformed Request" | "Invalid Cursor";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 400;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `not_found`: The resource does not exist, or belongs to another tenant; both get the same response. */
        MemberNotFound: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "not_found";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Not Found";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 404;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `conflict`: The request contradicts the current state. */
        MembersConflict: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "conflict";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Conflict";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 409;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `forbidden`: The credential is valid, but has no permission for this. */
        MembersForbidden: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "forbidden";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Forbidden";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 403;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `not_acceptable`: The `Accept` header allows no media type of this route. */
        NotAcceptable: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "not_acceptable";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Not Acceptable";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 406;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `not_found`: The resource does not exist, or belongs to another tenant; both get the same response. */
        NotFound: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "not_found";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Not Found";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 404;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `not_found`: The resource does not exist, or belongs to another tenant; both get the same response. */
        OrderNotFound: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "not_found";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Not Found";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 404;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description Any other problem, in the same form: new kinds may be added. */
        OtherProblem: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `payload_too_large`: The request body is larger than this route takes. */
        PayloadTooLarge: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "payload_too_large";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Payload Too Large";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 413;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `rate_limited`: Too many requests: wait as long as `Retry-After` specifies. */
        RateLimited: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "Retry-After": components["headers"]["Retry-After"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "rate_limited";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Rate Limited";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 429;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `conflict`: The request contradicts the current state. */
        RolesConflict: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "conflict";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Conflict";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 409;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /**
         * @description `conflict`: The request contradicts the current state.
         *
         *     `idempotency_in_progress`: The first request with this `Idempotency-Key` is still running: try again.
         */
        RolesConflictOrIdempotencyInProgress: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "Retry-After": components["headers"]["Retry-After"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "conflict" | "idempotency_in_progress";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Conflict" | "Idempotency In Progress";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 409;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `not_found`: The resource does not exist, or belongs to another tenant; both get the same response. */
        SessionNotFound: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "not_found";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Not Found";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 404;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `conflict`: The request contradicts the current state. */
        TenantConflict: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "conflict";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Conflict";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 409;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `forbidden`: The credential is valid, but has no permission for this. */
        TenantForbidden: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "forbidden";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Forbidden";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 403;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `not_found`: The resource does not exist, or belongs to another tenant; both get the same response. */
        TenantNotFound: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "not_found";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Not Found";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 404;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `rate_limited`: Too many requests: wait as long as `Retry-After` specifies. */
        TenantRateLimited: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "Retry-After": components["headers"]["Retry-After"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "rate_limited";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Rate Limited";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 429;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `unauthorized`: The credential is missing, or not valid (any more). */
        Unauthorized: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "unauthorized";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Unauthorized";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 401;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /**
         * @description `unauthorized`: The credential is missing, or not valid (any more).
         *
         *     `insufficient_user_authentication`: The sign-in is older than ten minutes, or lacks the second factor: step up, then try again (RFC 9470).
         */
        UnauthorizedOrInsufficientUserAuthentication: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "unauthorized" | "insufficient_user_authentication";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Unauthorized" | "Insufficient User Authentication";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 401;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `unavailable`: A dependency of the service is temporarily unavailable: try again. */
        Unavailable: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "Retry-After": components["headers"]["Retry-After"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "unavailable";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Unavailable";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 503;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `unsupported_media_type`: The request body is not `application/json`, or is compressed. */
        UnsupportedMediaType: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                Accept: components["headers"]["Accept"];
                "Accept-Patch": components["headers"]["Accept-Patch"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "unsupported_media_type";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Unsupported Media Type";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 415;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `validation_error`: Fields of the request are unknown or break a rule; `errors` has all faults. */
        ValidationError: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "validation_error";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Validation Error";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 422;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                    /** @description With `validation_error`: every fault. */
                    errors: {
                        /**
                         * @description The position, as a dotted path.
                         * @example items.0.quantity
                         */
                        field: string;
                        /** @description The fault, for people. */
                        message: string;
                        /** @description The violated rule, for programs. */
                        code: string;
                    }[];
                };
            };
        };
        /**
         * @description `validation_error`: Fields of the request are unknown or break a rule; `errors` has all faults.
         *
         *     `business_rule_violation`: The request is well-formed, but a business rule forbids it in the current state.
         */
        ValidationErrorOrBusinessRuleViolation: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "validation_error" | "business_rule_violation";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Validation Error" | "Business Rule Violation";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 422;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                    /** @description With `validation_error`: every fault. */
                    errors?: {
                        /**
                         * @description The position, as a dotted path.
                         * @example items.0.quantity
                         */
                        field: string;
                        /** @description The fault, for people. */
                        message: string;
                        /** @description The violated rule, for programs. */
                        code: string;
                    }[];
                };
            };
        };
        /**
         * @description `validation_error`: Fields of the request are unknown or break a rule; `errors` has all faults.
         *
         *     `business_rule_violation`: The request is well-formed, but a business rule forbids it in the current state.
         *
         *     `idempotency_key_reused`: This `Idempotency-Key` was used for another request: use a new key for a new request.
         */
        ValidationErrorOrBusinessRuleViolationOrIdempotencyKeyReused: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "validation_error" | "business_rule_violation" | "idempotency_key_reused";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Validation Error" | "Business Rule Violation" | "Idempotency Key Reused";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 422;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                    /** @description With `validation_error`: every fault. */
                    errors?: {
                        /**
                         * @description The position, as a dotted path.
                         * @example items.0.quantity
                         */
                        field: string;
                        /** @description The fault, for people. */
                        message: string;
                        /** @description The violated rule, for programs. */
                        code: string;
                    }[];
                };
            };
        };
        /**
         * @description `validation_error`: Fields of the request are unknown or break a rule; `errors` has all faults.
         *
         *     `idempotency_key_reused`: This `Idempotency-Key` was used for another request: use a new key for a new request.
         */
        ValidationErrorOrIdempotencyKeyReused: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "validation_error" | "idempotency_key_reused";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Validation Error" | "Idempotency Key Reused";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 422;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                    /** @description With `validation_error`: every fault. */
                    errors?: {
                        /**
                         * @description The position, as a dotted path.
                         * @example items.0.quantity
                         */
                        field: string;
                        /** @description The fault, for people. */
                        message: string;
                        /** @description The violated rule, for programs. */
                        code: string;
                    }[];
                };
            };
        };
        /**
         * @description `validation_error`: Fields of the request are unknown or break a rule; `errors` has all faults.
         *
         *     `token_invalid`: The one-time token is unknown, used or expired; all get the same response.
         */
        ValidationErrorOrTokenInvalid: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "validation_error" | "token_invalid";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Validation Error" | "Token Invalid";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 422;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                    /** @description With `validation_error`: every fault. */
                    errors?: {
                        /**
                         * @description The position, as a dotted path.
                         * @example items.0.quantity
                         */
                        field: string;
                        /** @description The fault, for people. */
                        message: string;
                        /** @description The violated rule, for programs. */
                        code: string;
                    }[];
                };
            };
        };
        /** @description `version_conflict`: The resource has changed since the version named in `If-Match`: read it again, then decide. */
        VersionConflict: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "version_conflict";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Version Conflict";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 412;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `conflict`: The request contradicts the current state. */
        WebhookDeliveriesConflict: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "conflict";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Conflict";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 409;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `conflict`: The request contradicts the current state. */
        WebhookEndpointsConflict: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "conflict";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Conflict";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 409;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
        /** @description `not_found`: The resource does not exist, or belongs to another tenant; both get the same response. */
        WebhookEventsNotFound: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": {
                    /**
                     * @description The kind of problem, for programs.
                     * @enum {string}
                     */
                    type: "not_found";
                    /**
                     * @description The type in words.
                     * @enum {string}
                     */
                    title: "Not Found";
                    /**
                     * @description The status of the response.
                     * @enum {integer}
                     */
                    status: 404;
                    /** @description The fault of this request, for people. */
                    detail: string;
                    /**
                     * Format: uri-reference
                     * @description The path of the request.
                     */
                    instance: string;
                    /** @description As in `X-Request-Id`: for logs and support. */
                    request_id: string;
                };
            };
        };
    };
    parameters: {
        /** @description A key of your own, such as a UUID, that makes the request safe to repeat: for 24 hours the same key with the same body gets the first response again. Stored per tenant and caller; a refused request leaves its key free. */
        IdempotencyKey: string;
        /** @description The `ETag` that the change is based on; if the resource has another version by now, 412. */
        IfMatch: string;
        /** @description The `ETag` of your copy; if the resource is unchanged, 304 without a body. */
        IfNoneMatch: string;
    };
    requestBodies: never;
    headers: {
        /**
         * @description With 415: the accepted media types.
         * @example application/json
         */
        Accept: string;
        /**
         * @description With 415 of a PATCH: the accepted media types (RFC 5789).
         * @example application/json, application/merge-patch+json
         */
        "Accept-Patch": string;
        /**
         * @description With 405: the methods of this path.
         * @example GET, HEAD, POST
         */
        Allow: string;
        /**
         * @description No cache may store the responses of a tenant.
         * @example no-store
         */
        "Cache-Control": "no-store";
        /**
         * @description Requests to save the response as a file, with its name.
         * @example attachment; filename="orders.ndjson"
         */
        "Content-Disposition": string;
        /**
         * @description The range of this part; with 416, the length of the file (RFC 9110, 14.4).
         * @example bytes 0-99/1024
         */
        "Content-Range": string;
        /**
         * @description The resource's version as a strong entity tag: for `If-None-Match` when reading again, `If-Match` when changing.
         * @example "1"
         */
        ETag: string;
        /**
         * @description Present on the stored response of an earlier request with the same `Idempotency-Key`.
         * @example true
         */
        "Idempotency-Replayed": "true";
        /**
         * @description The next page, as `rel="next"` (RFC 8288); not on the last page.
         * @example </api/v1/orders?limit=20&cursor=AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE>; rel="next"
         */
        Link: string;
        /**
         * @description The path of the new resource.
         * @example /api/v1/orders/0198c0de-7a11-7000-8000-000000000001
         */
        Location: string;
        /**
         * @description The rest of the limit (IETF draft-ietf-httpapi-ratelimit-headers-10): `r` requests now, and `t` seconds until the whole limit is available again.
         * @example "tenant";r=999;t=1
         */
        RateLimit: string;
        /**
         * @description The limit of this route: `q` requests at once, refilled over a window of `w` seconds.
         * @example "tenant";q=1000;w=5
         */
        "RateLimit-Policy": string;
        /**
         * @description Seconds to wait before trying again; with 429, 503 and `idempotency_in_progress`.
         * @example 1
         */
        "Retry-After": number;
        /**
         * @description How to authenticate (RFC 6750); `error="invalid_token"` for an invalid credential.
         * @example Bearer
         */
        "WWW-Authenticate": string;
        /**
         * @description The request's id, for logs and support: the caller's own `X-Request-Id` if it is valid (1 to 128 of `A-Za-z0-9._-`), otherwise generated by the service.
         * @example 5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11
         */
        "X-Request-Id": string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    getRoot: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The page. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /** @example <!doctype html>… */
                    "text/html": string;
                    /**
                     * @example {
                     *       "name": "Orders SaaS API",
                     *       "docs": "/docs",
                     *       "openapi": "/openapi.json",
                     *       "health": "/health"
                     *     }
                     */
                    "application/json": {
                        /**
                         * @description Name of the service.
                         * @example Orders SaaS API
                         */
                        name: string;
                        /**
                         * Format: uri-reference
                         * @description Swagger UI.
                         * @example /docs
                         */
                        docs: string;
                        /**
                         * Format: uri-reference
                         * @description This document.
                         * @example /openapi.json
                         */
                        openapi: string;
                        /**
                         * Format: uri-reference
                         * @description Whether the service runs.
                         * @example /health
                         */
                        health: string;
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getHealth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The process is up. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "ok"
                     *     }
                     */
                    "application/json": components["schemas"]["Health"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/health",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            500: components["responses"]["InternalError"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getLiveness: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The process responds. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "ok"
                     *     }
                     */
                    "application/json": components["schemas"]["Health"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/health/live",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            500: components["responses"]["InternalError"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getReadiness: {
        parameters: {
            query?: {
                /** @description Checks to omit. Without the queue requests are served, and its jobs run later; without the database the result shows whether this process can serve: a balancer without another target uses `database,queue`. */
                exclude?: "database" | "queue" | "database,queue" | "queue,database";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Requests can be served. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "ok",
                     *       "checks": {
                     *         "database": "ok",
                     *         "migrations": "ok"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["Readiness"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/health/ready",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            /** @description Requests cannot be served now; `checks` has the reasons. */
            503: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "Retry-After": components["headers"]["Retry-After"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "unavailable",
                     *       "checks": {
                     *         "database": "unavailable"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["Readiness"];
                };
            };
            default: components["responses"]["OtherProblem"];
        };
    };
    previewInvitation: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 8 KiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "token": "inv_0198c0de7a1170008000000000000002_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"
                 *     }
                 */
                "application/json": components["schemas"]["PreviewInvitation"];
            };
        };
        responses: {
            /** @description The invitation. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "tenant": {
                     *         "name": "Analytical Engines Ltd"
                     *       },
                     *       "email": "grace@example.com",
                     *       "role": "member",
                     *       "expires_at": "2026-02-07T12:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["InvitationPreview"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/invitations/preview",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrTokenInvalid"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    acceptInvitation: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 8 KiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "token": "inv_0198c0de7a1170008000000000000002_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
                 *       "password": "correct horse battery",
                 *       "name": "Grace"
                 *     }
                 */
                "application/json": components["schemas"]["AcceptInvitation"];
            };
        };
        responses: {
            /** @description Joined and signed in. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTk4In0.c2lnbmF0dXJl",
                     *       "refresh_token": "rt_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
                     *       "token_type": "Bearer",
                     *       "expires_in": 900,
                     *       "user": {
                     *         "id": "0198c0de-7a11-7000-8000-0000000000aa",
                     *         "email": "ada@example.com",
                     *         "name": "Ada Lovelace",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "tenant": {
                     *         "id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "name": "Analytical Engines Ltd",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "refused": {
                     *         "tenant_id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "reason": "suspended",
                     *         "connection_id": "0198c0de-7a11-7000-8000-0000000000cc"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["AccountUnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["AccountForbiddenOrSecondFactorEnrolmentRequired"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/invitations/accept",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["AccountConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrTokenInvalid"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    login: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 8 KiB. */
        requestBody: {
            content: {
                "application/json": components["schemas"]["Login"];
            };
        };
        responses: {
            /** @description Signed in. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTk4In0.c2lnbmF0dXJl",
                     *       "refresh_token": "rt_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
                     *       "token_type": "Bearer",
                     *       "expires_in": 900,
                     *       "user": {
                     *         "id": "0198c0de-7a11-7000-8000-0000000000aa",
                     *         "email": "ada@example.com",
                     *         "name": "Ada Lovelace",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "tenant": {
                     *         "id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "name": "Analytical Engines Ltd",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "refused": {
                     *         "tenant_id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "reason": "suspended",
                     *         "connection_id": "0198c0de-7a11-7000-8000-0000000000cc"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["AuthUnauthorizedOrSecondFactorRequired"];
            404: components["responses"]["AuthNotFound"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/login",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["AuthRateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    refreshTokens: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 8 KiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "refresh_token": "rt_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"
                 *     }
                 */
                "application/json": components["schemas"]["Refresh"];
            };
        };
        responses: {
            /** @description The new pair. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTk4In0.c2lnbmF0dXJl",
                     *       "refresh_token": "rt_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
                     *       "token_type": "Bearer",
                     *       "expires_in": 900
                     *     }
                     */
                    "application/json": components["schemas"]["Tokens"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["AuthUnauthorized"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/refresh",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    logout: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 8 KiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "refresh_token": "rt_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"
                 *     }
                 */
                "application/json": components["schemas"]["Refresh"];
            };
        };
        responses: {
            /** @description The session has ended. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["AuthUnauthorized"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/logout",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getMe: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The caller. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "user": {
                     *         "id": "0198c0de-7a11-7000-8000-0000000000aa",
                     *         "email": "ada@example.com",
                     *         "name": "Ada Lovelace",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "api_key": {
                     *         "id": "0198c0de-7a11-7000-8000-000000000041",
                     *         "name": "Warehouse",
                     *         "kind": "tenant"
                     *       },
                     *       "tenant": {
                     *         "id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "name": "Analytical Engines Ltd",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "role": "owner",
                     *       "email_verified_at": "2026-01-31T12:00:00.000Z",
                     *       "second_factor": {
                     *         "enabled": true,
                     *         "methods": [
                     *           "totp"
                     *         ]
                     *       },
                     *       "session": {
                     *         "id": "0198c0de-7a11-7000-8000-0000000000cc",
                     *         "amr": [
                     *           "pwd",
                     *           "otp"
                     *         ],
                     *         "acr": "aal2",
                     *         "auth_time": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "permissions": [
                     *         "members:read",
                     *         "members:manage",
                     *         "roles:manage",
                     *         "tenant:manage",
                     *         "sso:manage",
                     *         "api_keys:manage",
                     *         "audit:read",
                     *         "orders:read",
                     *         "orders:write",
                     *         "webhooks:read",
                     *         "webhooks:write"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["Me"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/me",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    deleteMe: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All sessions have ended. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/me",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolation"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    updateMe: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "Ada Lovelace"
                 *     }
                 */
                "application/json": components["schemas"]["UpdateMe"];
                /**
                 * @example {
                 *       "name": "Ada Lovelace"
                 *     }
                 */
                "application/merge-patch+json": components["schemas"]["UpdateMe"];
            };
        };
        responses: {
            /** @description The caller. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "user": {
                     *         "id": "0198c0de-7a11-7000-8000-0000000000aa",
                     *         "email": "ada@example.com",
                     *         "name": "Ada Lovelace",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "api_key": {
                     *         "id": "0198c0de-7a11-7000-8000-000000000041",
                     *         "name": "Warehouse",
                     *         "kind": "tenant"
                     *       },
                     *       "tenant": {
                     *         "id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "name": "Analytical Engines Ltd",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "role": "owner",
                     *       "email_verified_at": "2026-01-31T12:00:00.000Z",
                     *       "second_factor": {
                     *         "enabled": true,
                     *         "methods": [
                     *           "totp"
                     *         ]
                     *       },
                     *       "session": {
                     *         "id": "0198c0de-7a11-7000-8000-0000000000cc",
                     *         "amr": [
                     *           "pwd",
                     *           "otp"
                     *         ],
                     *         "acr": "aal2",
                     *         "auth_time": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "permissions": [
                     *         "members:read",
                     *         "members:manage",
                     *         "roles:manage",
                     *         "tenant:manage",
                     *         "sso:manage",
                     *         "api_keys:manage",
                     *         "audit:read",
                     *         "orders:read",
                     *         "orders:write",
                     *         "webhooks:read",
                     *         "webhooks:write"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["Me"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["AccountForbiddenOrSecondFactorEnrolmentRequired"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/me",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    register: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 8 KiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "ada@example.com",
                 *       "password": "correct horse battery",
                 *       "name": "Ada Lovelace",
                 *       "tenant_name": "Analytical Engines Ltd"
                 *     }
                 */
                "application/json": components["schemas"]["Register"];
            };
        };
        responses: {
            /** @description Registered and signed in. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTk4In0.c2lnbmF0dXJl",
                     *       "refresh_token": "rt_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
                     *       "token_type": "Bearer",
                     *       "expires_in": 900,
                     *       "user": {
                     *         "id": "0198c0de-7a11-7000-8000-0000000000aa",
                     *         "email": "ada@example.com",
                     *         "name": "Ada Lovelace",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "tenant": {
                     *         "id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "name": "Analytical Engines Ltd",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "refused": {
                     *         "tenant_id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "reason": "suspended",
                     *         "connection_id": "0198c0de-7a11-7000-8000-0000000000cc"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
            /** @description A mail is sent, whether or not the address is known. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "verification_sent"
                     *     }
                     */
                    "application/json": components["schemas"]["VerificationSent"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            403: components["responses"]["AuthRegistrationClosed"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/register",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["AuthConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    verifyEmail: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 8 KiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "token": "ott_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
                 *       "password": "correct horse battery",
                 *       "name": "Ada",
                 *       "tenant_name": "Analytical Engines Ltd"
                 *     }
                 */
                "application/json": components["schemas"]["VerifyEmail"];
            };
        };
        responses: {
            /** @description Signed in to the new account, or `user` alone for an account that exists. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTk4In0.c2lnbmF0dXJl",
                     *       "refresh_token": "rt_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
                     *       "token_type": "Bearer",
                     *       "expires_in": 900,
                     *       "user": {
                     *         "id": "0198c0de-7a11-7000-8000-0000000000aa",
                     *         "email": "ada@example.com",
                     *         "name": "Ada Lovelace",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "tenant": {
                     *         "id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "name": "Analytical Engines Ltd",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "refused": {
                     *         "tenant_id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "reason": "suspended",
                     *         "connection_id": "0198c0de-7a11-7000-8000-0000000000cc"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["SignedIn"] | components["schemas"]["Confirmed"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["AuthUnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["ForbiddenOrSecondFactorEnrolmentRequired"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/verify-email",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrTokenInvalid"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    resendVerification: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 8 KiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "ada@example.com"
                 *     }
                 */
                "application/json": components["schemas"]["Email"];
            };
        };
        responses: {
            /** @description Accepted. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/verify-email/resend",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    changePassword: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "current_password": "correct horse battery",
                 *       "new_password": "a new passphrase"
                 *     }
                 */
                "application/json": components["schemas"]["ChangePassword"];
            };
        };
        responses: {
            /** @description Changed. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/password",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    forgotPassword: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 8 KiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "ada@example.com"
                 *     }
                 */
                "application/json": components["schemas"]["Email"];
            };
        };
        responses: {
            /** @description Accepted. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/password/forgot",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    resetPassword: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 8 KiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "token": "ott_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
                 *       "password": "a new passphrase"
                 *     }
                 */
                "application/json": components["schemas"]["ResetPassword"];
            };
        };
        responses: {
            /** @description Reset. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/password/reset",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrTokenInvalid"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    changeEmail: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "ada@example.com"
                 *     }
                 */
                "application/json": components["schemas"]["Email"];
            };
        };
        responses: {
            /** @description Accepted. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/email",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    confirmEmail: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 8 KiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "token": "ott_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
                 *       "password": "correct horse battery"
                 *     }
                 */
                "application/json": components["schemas"]["ConfirmEmail"];
            };
        };
        responses: {
            /** @description The person with the new address. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "user": {
                     *         "id": "0198c0de-7a11-7000-8000-0000000000aa",
                     *         "email": "ada@example.com",
                     *         "name": "Ada Lovelace",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["Confirmed"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["AccountUnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["ForbiddenOrSecondFactorEnrolmentRequired"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/email/confirm",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrTokenInvalid"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    undoEmail: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 8 KiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "token": "ott_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"
                 *     }
                 */
                "application/json": components["schemas"]["Token"];
            };
        };
        responses: {
            /** @description Undone. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/email/undo",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrTokenInvalid"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    restoreMe: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Signed in, without a tenant. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTk4In0.c2lnbmF0dXJl",
                     *       "refresh_token": "rt_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
                     *       "token_type": "Bearer",
                     *       "expires_in": 900,
                     *       "user": {
                     *         "id": "0198c0de-7a11-7000-8000-0000000000aa",
                     *         "email": "ada@example.com",
                     *         "name": "Ada Lovelace",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "tenant": {
                     *         "id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "name": "Analytical Engines Ltd",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "refused": {
                     *         "tenant_id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "reason": "suspended",
                     *         "connection_id": "0198c0de-7a11-7000-8000-0000000000cc"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/me/restore",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    exportMe: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The data, as JSON. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /** @example {} */
                    "application/json": {
                        [key: string]: unknown;
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/me/export",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    listSessions: {
        parameters: {
            query?: {
                /** @description Entries on a page. */
                limit?: number;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    Link: components["headers"]["Link"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "data": [
                     *         {
                     *           "id": "0198c0de-7a11-7000-8000-0000000000cc",
                     *           "tenant": {
                     *             "id": "0198c0de-7a11-7000-8000-0000000000cc",
                     *             "name": "Analytical Engines Ltd"
                     *           },
                     *           "created_at": "2026-01-31T12:00:00.000Z",
                     *           "last_seen_at": "2026-01-31T12:00:00.000Z",
                     *           "network": "203.0.113.9",
                     *           "user_agent": "curl/8.5.0",
                     *           "amr": [
                     *             "pwd"
                     *           ],
                     *           "current": true
                     *         }
                     *       ],
                     *       "next_cursor": "AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE",
                     *       "has_more": true
                     *     }
                     */
                    "application/json": components["schemas"]["PersonSessionPage"];
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/sessions",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    endOtherSessions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Ended. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/sessions",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    endSession: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The session's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Ended. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["SessionNotFound"];
            /** @description `method_not_allowed`: This path has DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/sessions/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    listOwnTenants: {
        parameters: {
            query?: {
                /** @description Entries on a page. */
                limit?: number;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    Link: components["headers"]["Link"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "data": [
                     *         {
                     *           "id": "0198c0de-7a11-7000-8000-000000000002",
                     *           "name": "Analytical Engines Ltd",
                     *           "role": "owner",
                     *           "status": "active",
                     *           "last_used_at": "2026-01-31T12:00:00.000Z",
                     *           "contents": {
                     *             "other_members": 3,
                     *             "tenant_keys": 1,
                     *             "endpoints": 0,
                     *             "pending_invitations": 0
                     *           }
                     *         }
                     *       ],
                     *       "next_cursor": "AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE",
                     *       "has_more": true
                     *     }
                     */
                    "application/json": components["schemas"]["MembershipPage"];
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/tenants",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    confirmTenant: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tenant's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The membership is active. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["TenantNotFound"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/tenants/0198c0de-7a11-7000-8000-000000000001/confirm",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["AccountConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    declineTenant: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tenant's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The membership has ended. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["TenantNotFound"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/tenants/0198c0de-7a11-7000-8000-000000000001/decline",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["AccountConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    switchTenant: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "tenant_id": "0198c0de-7a11-7000-8000-000000000002"
                 *     }
                 */
                "application/json": components["schemas"]["SwitchTenant"];
            };
        };
        responses: {
            /** @description Signed in to that tenant. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTk4In0.c2lnbmF0dXJl",
                     *       "refresh_token": "rt_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
                     *       "token_type": "Bearer",
                     *       "expires_in": 900,
                     *       "user": {
                     *         "id": "0198c0de-7a11-7000-8000-0000000000aa",
                     *         "email": "ada@example.com",
                     *         "name": "Ada Lovelace",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "tenant": {
                     *         "id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "name": "Analytical Engines Ltd",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "refused": {
                     *         "tenant_id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "reason": "suspended",
                     *         "connection_id": "0198c0de-7a11-7000-8000-0000000000cc"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["AccountUnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["AccountForbidden"];
            404: components["responses"]["AccountNotFound"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/switch-tenant",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    createTenant: {
        parameters: {
            query?: never;
            header?: {
                /** @description A key of your own, such as a UUID, that makes the request safe to repeat: for 24 hours the same key with the same body gets the first response again. Stored per tenant and caller; a refused request leaves its key free. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "Analytical Engines Ltd"
                 *     }
                 */
                "application/json": components["schemas"]["CreateTenant"];
            };
        };
        responses: {
            /** @description Signed in to the new tenant. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTk4In0.c2lnbmF0dXJl",
                     *       "refresh_token": "rt_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
                     *       "token_type": "Bearer",
                     *       "expires_in": 900,
                     *       "user": {
                     *         "id": "0198c0de-7a11-7000-8000-0000000000aa",
                     *         "email": "ada@example.com",
                     *         "name": "Ada Lovelace",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "tenant": {
                     *         "id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "name": "Analytical Engines Ltd",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "refused": {
                     *         "tenant_id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "reason": "suspended",
                     *         "connection_id": "0198c0de-7a11-7000-8000-0000000000cc"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["AccountForbiddenOrRegistrationClosed"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/tenants",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["IdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    stepUp: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "password": "correct horse battery",
                 *       "code": "492039",
                 *       "passkey": {}
                 *     }
                 */
                "application/json": components["schemas"]["StepUp"];
            };
        };
        responses: {
            /** @description The pair of the new session. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTk4In0.c2lnbmF0dXJl",
                     *       "refresh_token": "rt_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
                     *       "token_type": "Bearer",
                     *       "expires_in": 900
                     *     }
                     */
                    "application/json": components["schemas"]["Tokens"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["AccountUnauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/step-up",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getStepUpOptions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The proofs. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "methods": [
                     *         "code"
                     *       ],
                     *       "passkey_options": {}
                     *     }
                     */
                    "application/json": components["schemas"]["StepUpOptions"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/step-up/options",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    completeSignIn: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 8 KiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "challenge": "sfc_0198c0de7a11700080000000000000aa_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
                 *       "code": "492039",
                 *       "recovery_code": "0-MFRG-GZDF-MZTW-Q2LK",
                 *       "passkey": {}
                 *     }
                 */
                "application/json": components["schemas"]["AnswerChallenge"];
            };
        };
        responses: {
            /** @description Signed in. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTk4In0.c2lnbmF0dXJl",
                     *       "refresh_token": "rt_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
                     *       "token_type": "Bearer",
                     *       "expires_in": 900,
                     *       "user": {
                     *         "id": "0198c0de-7a11-7000-8000-0000000000aa",
                     *         "email": "ada@example.com",
                     *         "name": "Ada Lovelace",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "tenant": {
                     *         "id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "name": "Analytical Engines Ltd",
                     *         "created_at": "2026-01-31T12:00:00.000Z"
                     *       },
                     *       "refused": {
                     *         "tenant_id": "0198c0de-7a11-7000-8000-000000000002",
                     *         "reason": "suspended",
                     *         "connection_id": "0198c0de-7a11-7000-8000-0000000000cc"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["AccountUnauthorized"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/second-factor",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    addTotp: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The setup data of the app. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
                     *       "otpauth_uri": "otpauth://totp/Orders:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Orders",
                     *       "qr_svg": "<svg xmlns=\"http://www.w3.org/2000/svg\"/>"
                     *     }
                     */
                    "application/json": components["schemas"]["TotpOffer"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has POST, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/totp",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["AccountConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    removeTotp: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Removed. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["AccountNotFound"];
            /** @description `method_not_allowed`: This path has POST, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/totp",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolation"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    confirmTotp: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "code": "492039"
                 *     }
                 */
                "application/json": components["schemas"]["TotpCode"];
            };
        };
        responses: {
            /** @description The factor is active. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "recovery_codes": [
                     *         "0-MFRG-GZDF-MZTW-Q2LK",
                     *         "1-MFRG-GZDF-MZTW-Q2LK",
                     *         "2-MFRG-GZDF-MZTW-Q2LK",
                     *         "3-MFRG-GZDF-MZTW-Q2LK",
                     *         "4-MFRG-GZDF-MZTW-Q2LK",
                     *         "5-MFRG-GZDF-MZTW-Q2LK",
                     *         "6-MFRG-GZDF-MZTW-Q2LK",
                     *         "7-MFRG-GZDF-MZTW-Q2LK",
                     *         "8-MFRG-GZDF-MZTW-Q2LK",
                     *         "9-MFRG-GZDF-MZTW-Q2LK"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["FactorAdded"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["AccountNotFound"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/totp/confirm",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    renewRecoveryCodes: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The codes. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "recovery_codes": [
                     *         "0-MFRG-GZDF-MZTW-Q2LK",
                     *         "1-MFRG-GZDF-MZTW-Q2LK",
                     *         "2-MFRG-GZDF-MZTW-Q2LK",
                     *         "3-MFRG-GZDF-MZTW-Q2LK",
                     *         "4-MFRG-GZDF-MZTW-Q2LK",
                     *         "5-MFRG-GZDF-MZTW-Q2LK",
                     *         "6-MFRG-GZDF-MZTW-Q2LK",
                     *         "7-MFRG-GZDF-MZTW-Q2LK",
                     *         "8-MFRG-GZDF-MZTW-Q2LK",
                     *         "9-MFRG-GZDF-MZTW-Q2LK"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["RecoveryCodes"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/auth/recovery-codes",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolation"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getTenant: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of your copy; if the resource is unchanged, 304 without a body. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The tenant. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000002",
                     *       "name": "Analytical Engines Ltd",
                     *       "status": "active",
                     *       "policies": {
                     *         "second_factor": "optional",
                     *         "second_factor_grace_days": 0,
                     *         "session_idle_minutes": null,
                     *         "session_max_days": null,
                     *         "allowed_cidrs": [
                     *           "203.0.113.0/24"
                     *         ],
                     *         "api_key_max_days": null
                     *       },
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "version": 1
                     *     }
                     */
                    "application/json": components["schemas"]["OwnTenant"];
                };
            };
            /** @description The resource is unchanged since `If-None-Match`. */
            304: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/tenant",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    closeTenant: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The tenant is closed. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/tenant",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    updateTenant: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the change is based on; if the resource has another version by now, 412. */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "Analytical Engines Ltd",
                 *       "policies": {
                 *         "second_factor": "required",
                 *         "second_factor_grace_days": 14
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["UpdateTenant"];
                /**
                 * @example {
                 *       "name": "Analytical Engines Ltd",
                 *       "policies": {
                 *         "second_factor": "required",
                 *         "second_factor_grace_days": 14
                 *       }
                 *     }
                 */
                "application/merge-patch+json": components["schemas"]["UpdateTenant"];
            };
        };
        responses: {
            /** @description The changed tenant. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000002",
                     *       "name": "Analytical Engines Ltd",
                     *       "status": "active",
                     *       "policies": {
                     *         "second_factor": "optional",
                     *         "second_factor_grace_days": 0,
                     *         "session_idle_minutes": null,
                     *         "session_max_days": null,
                     *         "allowed_cidrs": [
                     *           "203.0.113.0/24"
                     *         ],
                     *         "api_key_max_days": null
                     *       },
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "version": 1
                     *     }
                     */
                    "application/json": components["schemas"]["OwnTenant"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/tenant",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            412: components["responses"]["VersionConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    restoreTenant: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The tenant is open. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["TenantForbidden"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/tenant/restore",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["TenantConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    listInvitations: {
        parameters: {
            query?: {
                /** @description Entries on a page. */
                limit?: number;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    Link: components["headers"]["Link"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "data": [
                     *         {
                     *           "id": "0198c0de-7a11-7000-8000-000000000051",
                     *           "email": "grace@example.com",
                     *           "role": "member",
                     *           "invited_by": "0198c0de-7a11-7000-8000-0000000000aa",
                     *           "expires_at": "2026-01-31T12:00:00.000Z",
                     *           "created_at": "2026-01-31T12:00:00.000Z",
                     *           "version": 1
                     *         }
                     *       ],
                     *       "next_cursor": "AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE",
                     *       "has_more": true
                     *     }
                     */
                    "application/json": components["schemas"]["InvitationPage"];
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/invitations",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    createInvitation: {
        parameters: {
            query?: never;
            header?: {
                /** @description A key of your own, such as a UUID, that makes the request safe to repeat: for 24 hours the same key with the same body gets the first response again. Stored per tenant and caller; a refused request leaves its key free. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "grace@example.com",
                 *       "role": "member"
                 *     }
                 */
                "application/json": components["schemas"]["CreateInvitation"];
            };
        };
        responses: {
            /** @description The invitation. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000051",
                     *       "email": "grace@example.com",
                     *       "role": "member",
                     *       "invited_by": "0198c0de-7a11-7000-8000-0000000000aa",
                     *       "expires_at": "2026-01-31T12:00:00.000Z",
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "version": 1
                     *     }
                     */
                    "application/json": components["schemas"]["Invitation"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/invitations",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["InvitationsConflictOrIdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolationOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getInvitation: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of your copy; if the resource is unchanged, 304 without a body. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /** @description The invitation's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The invitation. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000051",
                     *       "email": "grace@example.com",
                     *       "role": "member",
                     *       "invited_by": "0198c0de-7a11-7000-8000-0000000000aa",
                     *       "expires_at": "2026-01-31T12:00:00.000Z",
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "version": 1
                     *     }
                     */
                    "application/json": components["schemas"]["Invitation"];
                };
            };
            /** @description The resource is unchanged since `If-None-Match`. */
            304: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["InvitationNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/invitations/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    deleteInvitation: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the change is based on; if the resource has another version by now, 412. */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                /** @description The invitation's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The invitation is withdrawn. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["InvitationNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/invitations/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            412: components["responses"]["VersionConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    resendInvitation: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The invitation's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The mail will be sent. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["InvitationNotFound"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/invitations/0198c0de-7a11-7000-8000-000000000001/resend",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolation"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    listMembers: {
        parameters: {
            query?: {
                /** @description Entries on a page. */
                limit?: number;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
                /** @description Members with this role. */
                role?: string;
                /** @description Members with this status. */
                status?: "active" | "suspended" | "unconfirmed";
                /** @description The beginning of a name or address. */
                q?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    Link: components["headers"]["Link"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "data": [
                     *         {
                     *           "user": {
                     *             "id": "0198c0de-7a11-7000-8000-0000000000aa",
                     *             "email": "ada@example.com",
                     *             "name": "Ada Lovelace"
                     *           },
                     *           "role": "member",
                     *           "status": "active",
                     *           "managed_by": "user",
                     *           "second_factor": true,
                     *           "joined_at": "2026-01-31T12:00:00.000Z",
                     *           "last_seen_at": "2026-01-31T12:00:00.000Z",
                     *           "version": 1
                     *         }
                     *       ],
                     *       "next_cursor": "AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE",
                     *       "has_more": true
                     *     }
                     */
                    "application/json": components["schemas"]["MemberPage"];
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/members",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getMember: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of your copy; if the resource is unchanged, 304 without a body. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /** @description The member's id. */
                user_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The member. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "user": {
                     *         "id": "0198c0de-7a11-7000-8000-0000000000aa",
                     *         "email": "ada@example.com",
                     *         "name": "Ada Lovelace"
                     *       },
                     *       "role": "member",
                     *       "status": "active",
                     *       "managed_by": "user",
                     *       "second_factor": true,
                     *       "joined_at": "2026-01-31T12:00:00.000Z",
                     *       "last_seen_at": "2026-01-31T12:00:00.000Z",
                     *       "version": 1
                     *     }
                     */
                    "application/json": components["schemas"]["Member"];
                };
            };
            /** @description The resource is unchanged since `If-None-Match`. */
            304: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["MemberNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/members/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    removeMember: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the change is based on; if the resource has another version by now, 412. */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                /** @description The member's id. */
                user_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The person is no longer a member. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["MembersForbidden"];
            404: components["responses"]["MemberNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/members/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["MembersConflict"];
            412: components["responses"]["VersionConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolation"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    updateMember: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the change is based on; if the resource has another version by now, 412. */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                /** @description The member's id. */
                user_id: string;
            };
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "role": "member",
                 *       "status": "active"
                 *     }
                 */
                "application/json": components["schemas"]["UpdateMember"];
                /**
                 * @example {
                 *       "role": "member",
                 *       "status": "active"
                 *     }
                 */
                "application/merge-patch+json": components["schemas"]["UpdateMember"];
            };
        };
        responses: {
            /** @description The changed member. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "user": {
                     *         "id": "0198c0de-7a11-7000-8000-0000000000aa",
                     *         "email": "ada@example.com",
                     *         "name": "Ada Lovelace"
                     *       },
                     *       "role": "member",
                     *       "status": "active",
                     *       "managed_by": "user",
                     *       "second_factor": true,
                     *       "joined_at": "2026-01-31T12:00:00.000Z",
                     *       "last_seen_at": "2026-01-31T12:00:00.000Z",
                     *       "version": 1
                     *     }
                     */
                    "application/json": components["schemas"]["Member"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["MemberNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/members/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["MembersConflict"];
            412: components["responses"]["VersionConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolation"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    resetMemberPassword: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The member's id. */
                user_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The mail will be sent. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["MemberNotFound"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/members/0198c0de-7a11-7000-8000-000000000001/password-reset",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    endMemberSessions: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The member's id. */
                user_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The sessions have ended. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["MemberNotFound"];
            /** @description `method_not_allowed`: This path has DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/members/0198c0de-7a11-7000-8000-000000000001/sessions",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    listRoles: {
        parameters: {
            query?: {
                /** @description Entries on a page. */
                limit?: number;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    Link: components["headers"]["Link"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "data": [
                     *         {
                     *           "name": "support",
                     *           "description": "Answers customers.",
                     *           "permissions": [
                     *             "orders:read",
                     *             "orders:write"
                     *           ],
                     *           "built_in": false,
                     *           "member_count": 3,
                     *           "version": 1
                     *         }
                     *       ],
                     *       "next_cursor": "AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE",
                     *       "has_more": true
                     *     }
                     */
                    "application/json": components["schemas"]["RolePage"];
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/roles",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    createRole: {
        parameters: {
            query?: never;
            header?: {
                /** @description A key of your own, such as a UUID, that makes the request safe to repeat: for 24 hours the same key with the same body gets the first response again. Stored per tenant and caller; a refused request leaves its key free. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "support",
                 *       "description": "Answers customers.",
                 *       "permissions": [
                 *         "orders:read",
                 *         "orders:write"
                 *       ]
                 *     }
                 */
                "application/json": components["schemas"]["CreateRole"];
            };
        };
        responses: {
            /** @description The role. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "support",
                     *       "description": "Answers customers.",
                     *       "permissions": [
                     *         "orders:read",
                     *         "orders:write"
                     *       ],
                     *       "built_in": false,
                     *       "member_count": 3,
                     *       "version": 1
                     *     }
                     */
                    "application/json": components["schemas"]["Role"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/roles",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["RolesConflictOrIdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolationOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getRole: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of your copy; if the resource is unchanged, 304 without a body. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /**
                 * @description The role's name.
                 * @example support
                 */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The role. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "support",
                     *       "description": "Answers customers.",
                     *       "permissions": [
                     *         "orders:read",
                     *         "orders:write"
                     *       ],
                     *       "built_in": false,
                     *       "member_count": 3,
                     *       "version": 1
                     *     }
                     */
                    "application/json": components["schemas"]["Role"];
                };
            };
            /** @description The resource is unchanged since `If-None-Match`. */
            304: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/roles/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    deleteRole: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the change is based on; if the resource has another version by now, 412. */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                /**
                 * @description The role's name.
                 * @example support
                 */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The role is deleted. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/roles/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["RolesConflict"];
            412: components["responses"]["VersionConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolation"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    updateRole: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the change is based on; if the resource has another version by now, 412. */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                /**
                 * @description The role's name.
                 * @example support
                 */
                name: string;
            };
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "description": "Answers customers.",
                 *       "permissions": [
                 *         "orders:read",
                 *         "orders:write"
                 *       ]
                 *     }
                 */
                "application/json": components["schemas"]["UpdateRole"];
                /**
                 * @example {
                 *       "description": "Answers customers.",
                 *       "permissions": [
                 *         "orders:read",
                 *         "orders:write"
                 *       ]
                 *     }
                 */
                "application/merge-patch+json": components["schemas"]["UpdateRole"];
            };
        };
        responses: {
            /** @description The changed role. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "support",
                     *       "description": "Answers customers.",
                     *       "permissions": [
                     *         "orders:read",
                     *         "orders:write"
                     *       ],
                     *       "built_in": false,
                     *       "member_count": 3,
                     *       "version": 1
                     *     }
                     */
                    "application/json": components["schemas"]["Role"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/roles/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            412: components["responses"]["VersionConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolation"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getTenantUsage: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The meters. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "data": [
                     *         {
                     *           "name": "webhook_endpoints",
                     *           "used": 12,
                     *           "limit": 1000,
                     *           "resets_at": null
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["Usage"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/tenant/usage",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    createTenantExport: {
        parameters: {
            query?: never;
            header?: {
                /** @description A key of your own, such as a UUID, that makes the request safe to repeat: for 24 hours the same key with the same body gets the first response again. Stored per tenant and caller; a refused request leaves its key free. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The export. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000071",
                     *       "status": "ready",
                     *       "created_by": "0198c0de-7a11-7000-8000-0000000000aa",
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "expires_at": "2026-01-31T12:00:00.000Z",
                     *       "version": 1
                     *     }
                     */
                    "application/json": components["schemas"]["TenantExport"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["TenantForbidden"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/tenant/exports",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["IdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolationOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getTenantExport: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of your copy; if the resource is unchanged, 304 without a body. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /** @description The export's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The export. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000071",
                     *       "status": "ready",
                     *       "created_by": "0198c0de-7a11-7000-8000-0000000000aa",
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "expires_at": "2026-01-31T12:00:00.000Z",
                     *       "version": 1
                     *     }
                     */
                    "application/json": components["schemas"]["TenantExport"];
                };
            };
            /** @description The resource is unchanged since `If-None-Match`. */
            304: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["TenantForbidden"];
            404: components["responses"]["ExportNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/tenant/exports/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    readTenantArchive: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The export's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The archive. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "Content-Disposition": components["headers"]["Content-Disposition"];
                    [name: string]: unknown;
                };
                content: {
                    /** @example the bytes of a tar.gz */
                    "application/gzip": string;
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["TenantForbidden"];
            404: components["responses"]["ExportNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/tenant/exports/0198c0de-7a11-7000-8000-000000000001/archive",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["TenantRateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    listApiKeys: {
        parameters: {
            query?: {
                /** @description Entries on a page. */
                limit?: number;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    Link: components["headers"]["Link"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "data": [
                     *         {
                     *           "id": "0198c0de-7a11-7000-8000-000000000041",
                     *           "name": "Warehouse",
                     *           "kind": "tenant",
                     *           "scopes": [
                     *             "orders:read",
                     *             "orders:write"
                     *           ],
                     *           "hint": "6QQ9",
                     *           "created_by": "0198c0de-7a11-7000-8000-0000000000aa",
                     *           "expires_at": "2027-01-31T12:00:00.000Z",
                     *           "last_used_at": "2026-01-31T12:00:00.000Z",
                     *           "allowed_cidrs": [
                     *             "203.0.113.0/24"
                     *           ],
                     *           "rate_limit": 20,
                     *           "version": 1,
                     *           "created_at": "2026-01-31T12:00:00.000Z"
                     *         }
                     *       ],
                     *       "next_cursor": "AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE",
                     *       "has_more": true
                     *     }
                     */
                    "application/json": components["schemas"]["ApiKeyPage"];
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["Unauthorized"];
            /** @description `method_not_allowed`: This path has GET, HEAD, POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/api-keys",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    createApiKey: {
        parameters: {
            query?: never;
            header?: {
                /** @description A key of your own, such as a UUID, that makes the request safe to repeat: for 24 hours the same key with the same body gets the first response again. Stored per tenant and caller; a refused request leaves its key free. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "Warehouse",
                 *       "kind": "tenant",
                 *       "scopes": [
                 *         "orders:read",
                 *         "orders:write"
                 *       ],
                 *       "expires_at": "2027-01-31T12:00:00.000Z",
                 *       "allowed_cidrs": [
                 *         "203.0.113.0/24"
                 *       ],
                 *       "rate_limit": 20
                 *     }
                 */
                "application/json": components["schemas"]["CreateApiKey"];
            };
        };
        responses: {
            /** @description The key with its text. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000041",
                     *       "name": "Warehouse",
                     *       "kind": "tenant",
                     *       "scopes": [
                     *         "orders:read",
                     *         "orders:write"
                     *       ],
                     *       "hint": "6QQ9",
                     *       "created_by": "0198c0de-7a11-7000-8000-0000000000aa",
                     *       "expires_at": "2027-01-31T12:00:00.000Z",
                     *       "last_used_at": "2026-01-31T12:00:00.000Z",
                     *       "allowed_cidrs": [
                     *         "203.0.113.0/24"
                     *       ],
                     *       "rate_limit": 20,
                     *       "version": 1,
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "key": "osa_030neMevZyg0J2Hi1BoDsw_6QQ9oBBAMmMDO7u3ateQ6UEUXNF09HN4Msd6PFwMhNS4Lmnc8"
                     *     }
                     */
                    "application/json": components["schemas"]["ApiKeyCreated"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["APIKeysForbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/api-keys",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["IdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolationOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getApiKey: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of your copy; if the resource is unchanged, 304 without a body. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /** @description The key's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The key. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000041",
                     *       "name": "Warehouse",
                     *       "kind": "tenant",
                     *       "scopes": [
                     *         "orders:read",
                     *         "orders:write"
                     *       ],
                     *       "hint": "6QQ9",
                     *       "created_by": "0198c0de-7a11-7000-8000-0000000000aa",
                     *       "expires_at": "2027-01-31T12:00:00.000Z",
                     *       "last_used_at": "2026-01-31T12:00:00.000Z",
                     *       "allowed_cidrs": [
                     *         "203.0.113.0/24"
                     *       ],
                     *       "rate_limit": 20,
                     *       "version": 1,
                     *       "created_at": "2026-01-31T12:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["ApiKey"];
                };
            };
            /** @description The resource is unchanged since `If-None-Match`. */
            304: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["KeyNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/api-keys/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    revokeApiKey: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the change is based on; if the resource has another version by now, 412. */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                /** @description The key's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The key is deleted. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["KeyNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/api-keys/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            412: components["responses"]["VersionConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    updateApiKey: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the change is based on; if the resource has another version by now, 412. */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                /** @description The key's id. */
                id: string;
            };
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "Warehouse",
                 *       "scopes": [
                 *         "orders:read",
                 *         "orders:write"
                 *       ],
                 *       "expires_at": "2027-01-31T12:00:00.000Z",
                 *       "allowed_cidrs": [
                 *         "203.0.113.0/24"
                 *       ],
                 *       "rate_limit": 20
                 *     }
                 */
                "application/json": components["schemas"]["UpdateApiKey"];
                /**
                 * @example {
                 *       "name": "Warehouse",
                 *       "scopes": [
                 *         "orders:read",
                 *         "orders:write"
                 *       ],
                 *       "expires_at": "2027-01-31T12:00:00.000Z",
                 *       "allowed_cidrs": [
                 *         "203.0.113.0/24"
                 *       ],
                 *       "rate_limit": 20
                 *     }
                 */
                "application/merge-patch+json": components["schemas"]["UpdateApiKey"];
            };
        };
        responses: {
            /** @description The changed key. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000041",
                     *       "name": "Warehouse",
                     *       "kind": "tenant",
                     *       "scopes": [
                     *         "orders:read",
                     *         "orders:write"
                     *       ],
                     *       "hint": "6QQ9",
                     *       "created_by": "0198c0de-7a11-7000-8000-0000000000aa",
                     *       "expires_at": "2027-01-31T12:00:00.000Z",
                     *       "last_used_at": "2026-01-31T12:00:00.000Z",
                     *       "allowed_cidrs": [
                     *         "203.0.113.0/24"
                     *       ],
                     *       "rate_limit": 20,
                     *       "version": 1,
                     *       "created_at": "2026-01-31T12:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["ApiKey"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["APIKeysForbidden"];
            404: components["responses"]["KeyNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/api-keys/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            412: components["responses"]["VersionConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    rotateApiKey: {
        parameters: {
            query?: never;
            header?: {
                /** @description A key of your own, such as a UUID, that makes the request safe to repeat: for 24 hours the same key with the same body gets the first response again. Stored per tenant and caller; a refused request leaves its key free. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path: {
                /** @description The key's id. */
                id: string;
            };
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody?: {
            content: {
                /**
                 * @example {
                 *       "overlap_seconds": 86400
                 *     }
                 */
                "application/json": components["schemas"]["RotateApiKey"];
            };
        };
        responses: {
            /** @description The key, with its new text. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000041",
                     *       "name": "Warehouse",
                     *       "kind": "tenant",
                     *       "scopes": [
                     *         "orders:read",
                     *         "orders:write"
                     *       ],
                     *       "hint": "6QQ9",
                     *       "created_by": "0198c0de-7a11-7000-8000-0000000000aa",
                     *       "expires_at": "2027-01-31T12:00:00.000Z",
                     *       "last_used_at": "2026-01-31T12:00:00.000Z",
                     *       "allowed_cidrs": [
                     *         "203.0.113.0/24"
                     *       ],
                     *       "rate_limit": 20,
                     *       "version": 1,
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "key": "osa_030neMevZyg0J2Hi1BoDsw_6QQ9oBBAMmMDO7u3ateQ6UEUXNF09HN4Msd6PFwMhNS4Lmnc8"
                     *     }
                     */
                    "application/json": components["schemas"]["ApiKeyCreated"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrInsufficientUserAuthentication"];
            403: components["responses"]["APIKeysForbidden"];
            404: components["responses"]["KeyNotFound"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/api-keys/0198c0de-7a11-7000-8000-000000000001/rotate",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["APIKeysConflictOrIdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    listOrders: {
        parameters: {
            query?: {
                /** @description Only orders in this status. */
                status?: components["schemas"]["OrderStatus"];
                /** @description Only orders of this customer. */
                customer_id?: string;
                /** @description ISO 4217 code, in either case. */
                currency?: string;
                /** @description Only orders made after this time. */
                created_after?: string;
                /** @description Only orders made before this time. */
                created_before?: string;
                /** @description Only orders created after this one, without it: for polling, since orders of one millisecond also have an order. An order whose transaction ends late may have an id before one that was already listed; read the last seconds again, or use a webhook if every order matters. */
                after_id?: string;
                /** @description Entries on a page. */
                limit?: number;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    Link: components["headers"]["Link"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "data": [
                     *         {
                     *           "id": "0198c0de-7a11-7000-8000-000000000001",
                     *           "customer_id": "3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c",
                     *           "status": "pending",
                     *           "total_amount": "59.98",
                     *           "currency": "USD",
                     *           "notes": "Leave at the door",
                     *           "metadata": {
                     *             "channel": "web"
                     *           },
                     *           "items": [
                     *             {
                     *               "id": "0198c0de-7a11-7000-8000-000000000011",
                     *               "product_id": "prod-1",
                     *               "product_name": "Widget",
                     *               "quantity": 2,
                     *               "unit_price": "29.99"
                     *             }
                     *           ],
                     *           "version": 1,
                     *           "created_at": "2026-01-31T12:00:00.000Z",
                     *           "updated_at": "2026-01-31T12:00:00.000Z"
                     *         }
                     *       ],
                     *       "next_cursor": "AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE",
                     *       "has_more": true
                     *     }
                     */
                    "application/json": components["schemas"]["OrderPage"];
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/orders",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    createOrder: {
        parameters: {
            query?: never;
            header?: {
                /** @description A key of your own, such as a UUID, that makes the request safe to repeat: for 24 hours the same key with the same body gets the first response again. Stored per tenant and caller; a refused request leaves its key free. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "customer_id": "3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c",
                 *       "items": [
                 *         {
                 *           "product_id": "prod-1",
                 *           "product_name": "Widget",
                 *           "quantity": 2,
                 *           "unit_price": "29.99"
                 *         }
                 *       ],
                 *       "currency": "USD",
                 *       "notes": "Leave at the door",
                 *       "metadata": {
                 *         "channel": "web"
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["CreateOrder"];
            };
        };
        responses: {
            /** @description The order. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000001",
                     *       "customer_id": "3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c",
                     *       "status": "pending",
                     *       "total_amount": "59.98",
                     *       "currency": "USD",
                     *       "notes": "Leave at the door",
                     *       "metadata": {
                     *         "channel": "web"
                     *       },
                     *       "items": [
                     *         {
                     *           "id": "0198c0de-7a11-7000-8000-000000000011",
                     *           "product_id": "prod-1",
                     *           "product_name": "Widget",
                     *           "quantity": 2,
                     *           "unit_price": "29.99"
                     *         }
                     *       ],
                     *       "version": 1,
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "updated_at": "2026-01-31T12:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Order"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/orders",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["IdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    createOrders: {
        parameters: {
            query?: never;
            header?: {
                /** @description A key of your own, such as a UUID, that makes the request safe to repeat: for 24 hours the same key with the same body gets the first response again. Stored per tenant and caller; a refused request leaves its key free. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 8 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "orders": [
                 *         {
                 *           "customer_id": "3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c",
                 *           "items": [
                 *             {
                 *               "product_id": "prod-1",
                 *               "product_name": "Widget",
                 *               "quantity": 2,
                 *               "unit_price": "29.99"
                 *             }
                 *           ],
                 *           "currency": "USD",
                 *           "notes": "Leave at the door",
                 *           "metadata": {
                 *             "channel": "web"
                 *           }
                 *         }
                 *       ]
                 *     }
                 */
                "application/json": components["schemas"]["CreateOrders"];
            };
        };
        responses: {
            /** @description The orders. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "data": [
                     *         {
                     *           "id": "0198c0de-7a11-7000-8000-000000000001",
                     *           "customer_id": "3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c",
                     *           "status": "pending",
                     *           "total_amount": "59.98",
                     *           "currency": "USD",
                     *           "notes": "Leave at the door",
                     *           "metadata": {
                     *             "channel": "web"
                     *           },
                     *           "items": [
                     *             {
                     *               "id": "0198c0de-7a11-7000-8000-000000000011",
                     *               "product_id": "prod-1",
                     *               "product_name": "Widget",
                     *               "quantity": 2,
                     *               "unit_price": "29.99"
                     *             }
                     *           ],
                     *           "version": 1,
                     *           "created_at": "2026-01-31T12:00:00.000Z",
                     *           "updated_at": "2026-01-31T12:00:00.000Z"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["OrderBatch"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/orders/batch",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["IdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    exportOrders: {
        parameters: {
            query?: {
                /** @description Only orders in this status. */
                status?: components["schemas"]["OrderStatus"];
                /** @description Only orders of this customer. */
                customer_id?: string;
                /** @description ISO 4217 code, in either case. */
                currency?: string;
                /** @description Only orders made after this time. */
                created_after?: string;
                /** @description Only orders made before this time. */
                created_before?: string;
                /** @description Only orders created after this one, without it: for polling, since orders of one millisecond also have an order. An order whose transaction ends late may have an id before one that was already listed; read the last seconds again, or use a webhook if every order matters. */
                after_id?: string;
                /** @description One JSON object per line, or comma-separated values with a header line. By default `Accept` decides; without a preference it is `ndjson`. */
                format?: "ndjson" | "csv";
                /** @description `true`: CSV begins with a byte order mark, by which Excel reads it as UTF-8. Without effect on NDJSON. */
                bom?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The orders. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "Content-Disposition": components["headers"]["Content-Disposition"];
                    [name: string]: unknown;
                };
                content: {
                    /** @example {"id":"0198c0de-7a11-7000-8000-000000000001","customer_id":"3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c","status":"pending","total_amount":"59.98","currency":"USD","notes":"Leave at the door","metadata":{"channel":"web"},"items":[{"id":"0198c0de-7a11-7000-8000-000000000011","product_id":"prod-1","product_name":"Widget","quantity":2,"unit_price":"29.99"}],"version":1,"created_at":"2026-01-31T12:00:00.000Z","updated_at":"2026-01-31T12:00:00.000Z"} */
                    "application/x-ndjson": string;
                    /**
                     * @example id,customer_id,status,total_amount,currency,notes,metadata,items,version,created_at,updated_at
                     *     0198c0de-7a11-7000-8000-000000000001,3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c,pending,59.98,USD,,{},"[{""id"":""0198c0de-7a11-7000-8000-000000000011"",""product_id"":""prod-1"",""product_name"":""Widget"",""quantity"":2,""unit_price"":""29.99""}]",1,2026-01-31T12:00:00.000Z,2026-01-31T12:00:00.000Z
                     */
                    "text/csv": string;
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/orders/export",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getOrder: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of your copy; if the resource is unchanged, 304 without a body. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /** @description The order's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The order. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000001",
                     *       "customer_id": "3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c",
                     *       "status": "pending",
                     *       "total_amount": "59.98",
                     *       "currency": "USD",
                     *       "notes": "Leave at the door",
                     *       "metadata": {
                     *         "channel": "web"
                     *       },
                     *       "items": [
                     *         {
                     *           "id": "0198c0de-7a11-7000-8000-000000000011",
                     *           "product_id": "prod-1",
                     *           "product_name": "Widget",
                     *           "quantity": 2,
                     *           "unit_price": "29.99"
                     *         }
                     *       ],
                     *       "version": 1,
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "updated_at": "2026-01-31T12:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Order"];
                };
            };
            /** @description The resource is unchanged since `If-None-Match`. */
            304: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["OrderNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/orders/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    updateOrder: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the change is based on; if the resource has another version by now, 412. */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                /** @description The order's id. */
                id: string;
            };
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "notes": "Ring twice",
                 *       "metadata": {
                 *         "channel": "phone",
                 *         "coupon": null
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["UpdateOrder"];
                /**
                 * @example {
                 *       "notes": "Ring twice",
                 *       "metadata": {
                 *         "channel": "phone",
                 *         "coupon": null
                 *       }
                 *     }
                 */
                "application/merge-patch+json": components["schemas"]["UpdateOrder"];
            };
        };
        responses: {
            /** @description The changed order. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000001",
                     *       "customer_id": "3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c",
                     *       "status": "pending",
                     *       "total_amount": "59.98",
                     *       "currency": "USD",
                     *       "notes": "Leave at the door",
                     *       "metadata": {
                     *         "channel": "web"
                     *       },
                     *       "items": [
                     *         {
                     *           "id": "0198c0de-7a11-7000-8000-000000000011",
                     *           "product_id": "prod-1",
                     *           "product_name": "Widget",
                     *           "quantity": 2,
                     *           "unit_price": "29.99"
                     *         }
                     *       ],
                     *       "version": 1,
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "updated_at": "2026-01-31T12:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Order"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["OrderNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/orders/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            412: components["responses"]["VersionConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    changeOrderStatus: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the change is based on; if the resource has another version by now, 412. */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                /** @description The order's id. */
                id: string;
            };
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "status": "confirmed"
                 *     }
                 */
                "application/json": components["schemas"]["ChangeStatus"];
                /**
                 * @example {
                 *       "status": "confirmed"
                 *     }
                 */
                "application/merge-patch+json": components["schemas"]["ChangeStatus"];
            };
        };
        responses: {
            /** @description The changed order. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000001",
                     *       "customer_id": "3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c",
                     *       "status": "pending",
                     *       "total_amount": "59.98",
                     *       "currency": "USD",
                     *       "notes": "Leave at the door",
                     *       "metadata": {
                     *         "channel": "web"
                     *       },
                     *       "items": [
                     *         {
                     *           "id": "0198c0de-7a11-7000-8000-000000000011",
                     *           "product_id": "prod-1",
                     *           "product_name": "Widget",
                     *           "quantity": 2,
                     *           "unit_price": "29.99"
                     *         }
                     *       ],
                     *       "version": 1,
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "updated_at": "2026-01-31T12:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Order"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["OrderNotFound"];
            /** @description `method_not_allowed`: This path has PATCH, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/orders/0198c0de-7a11-7000-8000-000000000001/status",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            412: components["responses"]["VersionConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolation"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    listOrderEvents: {
        parameters: {
            query?: {
                /** @description Entries on a page. */
                limit?: number;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description The order's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    Link: components["headers"]["Link"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "data": [
                     *         {
                     *           "id": "0198c0de-7a11-7000-8000-000000000021",
                     *           "type": "order.confirmed",
                     *           "from_status": "pending",
                     *           "to_status": "confirmed",
                     *           "actor": {
                     *             "type": "user",
                     *             "id": "0198c0de-7a11-7000-8000-0000000000aa"
                     *           },
                     *           "created_at": "2026-01-31T12:00:00.000Z"
                     *         }
                     *       ],
                     *       "next_cursor": "AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE",
                     *       "has_more": true
                     *     }
                     */
                    "application/json": components["schemas"]["OrderEventPage"];
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["OrderNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/orders/0198c0de-7a11-7000-8000-000000000001/events",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    listEndpoints: {
        parameters: {
            query?: {
                /** @description Entries on a page. */
                limit?: number;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    Link: components["headers"]["Link"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "data": [
                     *         {
                     *           "id": "0198c0de-7a11-7000-8000-000000000031",
                     *           "url": "https://example.com/webhooks/orders",
                     *           "description": "Warehouse",
                     *           "event_types": [
                     *             "order.*",
                     *             "invoice.paid"
                     *           ],
                     *           "headers": {
                     *             "Authorization": "***"
                     *           },
                     *           "rate_limit": 50,
                     *           "ordering": "none",
                     *           "signature": "v1",
                     *           "enabled": true,
                     *           "consent": "pending",
                     *           "disabled_reason": null,
                     *           "version": 1,
                     *           "created_at": "2026-01-31T12:00:00.000Z",
                     *           "updated_at": "2026-01-31T12:00:00.000Z"
                     *         }
                     *       ],
                     *       "next_cursor": "AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE",
                     *       "has_more": true
                     *     }
                     */
                    "application/json": components["schemas"]["EndpointPage"];
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/endpoints",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    createEndpoint: {
        parameters: {
            query?: never;
            header?: {
                /** @description A key of your own, such as a UUID, that makes the request safe to repeat: for 24 hours the same key with the same body gets the first response again. Stored per tenant and caller; a refused request leaves its key free. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "url": "https://example.com/webhooks/orders",
                 *       "description": "Warehouse",
                 *       "event_types": [
                 *         "order.*",
                 *         "invoice.paid"
                 *       ],
                 *       "headers": {
                 *         "Authorization": "Bearer of-your-own"
                 *       },
                 *       "rate_limit": 50,
                 *       "ordering": "none",
                 *       "signature": "v1",
                 *       "enabled": true
                 *     }
                 */
                "application/json": components["schemas"]["CreateEndpoint"];
            };
        };
        responses: {
            /** @description The endpoint, with its secret. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000031",
                     *       "url": "https://example.com/webhooks/orders",
                     *       "description": "Warehouse",
                     *       "event_types": [
                     *         "order.*",
                     *         "invoice.paid"
                     *       ],
                     *       "headers": {
                     *         "Authorization": "***"
                     *       },
                     *       "rate_limit": 50,
                     *       "ordering": "none",
                     *       "signature": "v1",
                     *       "enabled": true,
                     *       "consent": "pending",
                     *       "disabled_reason": null,
                     *       "version": 1,
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "updated_at": "2026-01-31T12:00:00.000Z",
                     *       "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazfYh4oMUrk="
                     *     }
                     */
                    "application/json": components["schemas"]["EndpointCreated"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/endpoints",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["IdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolationOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getEndpoint: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of your copy; if the resource is unchanged, 304 without a body. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /** @description The endpoint's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The endpoint. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000031",
                     *       "url": "https://example.com/webhooks/orders",
                     *       "description": "Warehouse",
                     *       "event_types": [
                     *         "order.*",
                     *         "invoice.paid"
                     *       ],
                     *       "headers": {
                     *         "Authorization": "***"
                     *       },
                     *       "rate_limit": 50,
                     *       "ordering": "none",
                     *       "signature": "v1",
                     *       "enabled": true,
                     *       "consent": "pending",
                     *       "disabled_reason": null,
                     *       "version": 1,
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "updated_at": "2026-01-31T12:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Endpoint"];
                };
            };
            /** @description The resource is unchanged since `If-None-Match`. */
            304: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["EndpointNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/endpoints/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    deleteEndpoint: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the change is based on; if the resource has another version by now, 412. */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                /** @description The endpoint's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The endpoint is removed. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["EndpointNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/endpoints/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            412: components["responses"]["VersionConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    updateEndpoint: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the change is based on; if the resource has another version by now, 412. */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                /** @description The endpoint's id. */
                id: string;
            };
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "url": "https://example.com/webhooks/orders",
                 *       "description": "Warehouse",
                 *       "event_types": [
                 *         "order.*",
                 *         "invoice.paid"
                 *       ],
                 *       "headers": {
                 *         "Authorization": "Bearer of-your-own"
                 *       },
                 *       "rate_limit": 50,
                 *       "ordering": "by_aggregate",
                 *       "signature": "v1",
                 *       "enabled": true
                 *     }
                 */
                "application/json": components["schemas"]["UpdateEndpoint"];
                /**
                 * @example {
                 *       "url": "https://example.com/webhooks/orders",
                 *       "description": "Warehouse",
                 *       "event_types": [
                 *         "order.*",
                 *         "invoice.paid"
                 *       ],
                 *       "headers": {
                 *         "Authorization": "Bearer of-your-own"
                 *       },
                 *       "rate_limit": 50,
                 *       "ordering": "by_aggregate",
                 *       "signature": "v1",
                 *       "enabled": true
                 *     }
                 */
                "application/merge-patch+json": components["schemas"]["UpdateEndpoint"];
            };
        };
        responses: {
            /** @description The changed endpoint. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000031",
                     *       "url": "https://example.com/webhooks/orders",
                     *       "description": "Warehouse",
                     *       "event_types": [
                     *         "order.*",
                     *         "invoice.paid"
                     *       ],
                     *       "headers": {
                     *         "Authorization": "***"
                     *       },
                     *       "rate_limit": 50,
                     *       "ordering": "none",
                     *       "signature": "v1",
                     *       "enabled": true,
                     *       "consent": "pending",
                     *       "disabled_reason": null,
                     *       "version": 1,
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "updated_at": "2026-01-31T12:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Endpoint"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["EndpointNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PATCH, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/endpoints/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            412: components["responses"]["VersionConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getEndpointSecret: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The endpoint's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The secret. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazfYh4oMUrk=",
                     *       "url": "https://example.com/webhooks/orders",
                     *       "headers": {
                     *         "Authorization": "Bearer of-your-own"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["EndpointSecrets"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["EndpointNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/endpoints/0198c0de-7a11-7000-8000-000000000001/secret",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    rotateEndpointSecret: {
        parameters: {
            query?: never;
            header?: {
                /** @description A key of your own, such as a UUID, that makes the request safe to repeat: for 24 hours the same key with the same body gets the first response again. Stored per tenant and caller; a refused request leaves its key free. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path: {
                /** @description The endpoint's id. */
                id: string;
            };
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody?: {
            content: {
                /**
                 * @example {
                 *       "overlap_seconds": 86400
                 *     }
                 */
                "application/json": components["schemas"]["RotateSecret"];
            };
        };
        responses: {
            /** @description The new secret. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazfYh4oMUrk="
                     *     }
                     */
                    "application/json": components["schemas"]["EndpointSecret"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["EndpointNotFound"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/endpoints/0198c0de-7a11-7000-8000-000000000001/rotate-secret",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["IdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getWebhookKeys: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The keys. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "keys": [
                     *         {
                     *           "kty": "OKP",
                     *           "crv": "Ed25519",
                     *           "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                     *           "use": "sig",
                     *           "alg": "EdDSA",
                     *           "kid": "0198c0de-7a11-7000-8000-000000000031"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["Jwks"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/jwks",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    testEndpoint: {
        parameters: {
            query?: never;
            header?: {
                /** @description A key of your own, such as a UUID, that makes the request safe to repeat: for 24 hours the same key with the same body gets the first response again. Stored per tenant and caller; a refused request leaves its key free. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path: {
                /** @description The endpoint's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The delivery; its id gives access to its outcome. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000051",
                     *       "endpoint_id": "0198c0de-7a11-7000-8000-000000000031",
                     *       "event_id": "0198c0de-7a11-7000-8000-000000000041",
                     *       "event_type": "order.created",
                     *       "status": "succeeded",
                     *       "attempt_count": 1,
                     *       "next_attempt_at": null,
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "completed_at": "2026-01-31T12:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Delivery"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["EndpointNotFound"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/endpoints/0198c0de-7a11-7000-8000-000000000001/test",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["IdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    recoverEndpoint: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The endpoint's id. */
                id: string;
            };
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "since": "2026-01-31T12:00:00.000Z",
                 *       "until": "2026-01-31T18:00:00.000Z"
                 *     }
                 */
                "application/json": components["schemas"]["Recover"];
            };
        };
        responses: {
            /** @description The number. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "count": 42
                     *     }
                     */
                    "application/json": components["schemas"]["Recovered"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["EndpointNotFound"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/endpoints/0198c0de-7a11-7000-8000-000000000001/recover",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["WebhookEndpointsConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getEndpointStats: {
        parameters: {
            query?: {
                /** @description The first hour is the one of this time; without it, the last 24 hours. At most 31 days. */
                since?: string;
                /** @description The last hour begins before this time; by default now. */
                until?: string;
            };
            header?: never;
            path: {
                /** @description The endpoint's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The hours. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "data": [
                     *         {
                     *           "hour": "2026-01-31T12:00:00.000Z",
                     *           "succeeded": 118,
                     *           "failed": 2,
                     *           "attempts": 120,
                     *           "latency_ms": {
                     *             "p50": 85,
                     *             "p95": 210,
                     *             "p99": 480
                     *           }
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["Stats"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["EndpointNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/endpoints/0198c0de-7a11-7000-8000-000000000001/stats",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    listEventTypes: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The catalogue. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    Link: components["headers"]["Link"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "data": [
                     *         {
                     *           "name": "invoice.paid",
                     *           "description": "An invoice was paid in full.",
                     *           "schema_of": "data",
                     *           "schema": {
                     *             "type": "object",
                     *             "required": [
                     *               "invoice",
                     *               "amount"
                     *             ],
                     *             "properties": {
                     *               "invoice": {
                     *                 "type": "string"
                     *               },
                     *               "amount": {
                     *                 "type": "string",
                     *                 "maxLength": 20
                     *               }
                     *             }
                     *           },
                     *           "example": {
                     *             "invoice": "INV-2041",
                     *             "amount": "120.00"
                     *           },
                     *           "version": 1,
                     *           "created_at": "2026-01-31T12:00:00.000Z",
                     *           "updated_at": "2026-01-31T12:00:00.000Z"
                     *         }
                     *       ],
                     *       "next_cursor": null,
                     *       "has_more": false
                     *     }
                     */
                    "application/json": components["schemas"]["EventTypeList"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/event-types",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getEventType: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of your copy; if the resource is unchanged, 304 without a body. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /**
                 * @description The type's name.
                 * @example order.created
                 */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The type. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "invoice.paid",
                     *       "description": "An invoice was paid in full.",
                     *       "schema_of": "data",
                     *       "schema": {
                     *         "type": "object",
                     *         "required": [
                     *           "invoice",
                     *           "amount"
                     *         ],
                     *         "properties": {
                     *           "invoice": {
                     *             "type": "string"
                     *           },
                     *           "amount": {
                     *             "type": "string",
                     *             "maxLength": 20
                     *           }
                     *         }
                     *       },
                     *       "example": {
                     *         "invoice": "INV-2041",
                     *         "amount": "120.00"
                     *       },
                     *       "version": 1,
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "updated_at": "2026-01-31T12:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["EventType"];
                };
            };
            /** @description The resource is unchanged since `If-None-Match`. */
            304: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["WebhookEventsNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PUT, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/event-types/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    registerEventType: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the change is based on; if the resource has another version by now, 412. */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                /**
                 * @description The type's name.
                 * @example invoice.paid
                 */
                name: string;
            };
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "description": "An invoice was paid in full.",
                 *       "schema": {
                 *         "type": "object",
                 *         "required": [
                 *           "invoice",
                 *           "amount"
                 *         ],
                 *         "properties": {
                 *           "invoice": {
                 *             "type": "string"
                 *           },
                 *           "amount": {
                 *             "type": "string",
                 *             "maxLength": 20
                 *           }
                 *         }
                 *       },
                 *       "example": {
                 *         "invoice": "INV-2041",
                 *         "amount": "120.00"
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["RegisterEventType"];
            };
        };
        responses: {
            /** @description The changed type. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "invoice.paid",
                     *       "description": "An invoice was paid in full.",
                     *       "schema_of": "data",
                     *       "schema": {
                     *         "type": "object",
                     *         "required": [
                     *           "invoice",
                     *           "amount"
                     *         ],
                     *         "properties": {
                     *           "invoice": {
                     *             "type": "string"
                     *           },
                     *           "amount": {
                     *             "type": "string",
                     *             "maxLength": 20
                     *           }
                     *         }
                     *       },
                     *       "example": {
                     *         "invoice": "INV-2041",
                     *         "amount": "120.00"
                     *       },
                     *       "version": 1,
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "updated_at": "2026-01-31T12:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["EventType"];
                };
            };
            /** @description The type, which is new. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "invoice.paid",
                     *       "description": "An invoice was paid in full.",
                     *       "schema_of": "data",
                     *       "schema": {
                     *         "type": "object",
                     *         "required": [
                     *           "invoice",
                     *           "amount"
                     *         ],
                     *         "properties": {
                     *           "invoice": {
                     *             "type": "string"
                     *           },
                     *           "amount": {
                     *             "type": "string",
                     *             "maxLength": 20
                     *           }
                     *         }
                     *       },
                     *       "example": {
                     *         "invoice": "INV-2041",
                     *         "amount": "120.00"
                     *       },
                     *       "version": 1,
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "updated_at": "2026-01-31T12:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["EventType"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PUT, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/event-types/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            412: components["responses"]["VersionConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolation"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    deleteEventType: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the change is based on; if the resource has another version by now, 412. */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                /**
                 * @description The type's name.
                 * @example invoice.paid
                 */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The type is removed. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["WebhookEventsNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, PUT, DELETE, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/event-types/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            412: components["responses"]["VersionConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolation"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    listEvents: {
        parameters: {
            query?: {
                /** @description Entries on a page. */
                limit?: number;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
                /** @description Only events of this type. */
                type?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    Link: components["headers"]["Link"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "data": [
                     *         {
                     *           "id": "0198c0de-7a11-7000-8000-000000000041",
                     *           "type": "invoice.paid",
                     *           "timestamp": "2026-01-31T12:00:00.000Z",
                     *           "data": {
                     *             "invoice": "INV-2041",
                     *             "amount": "120.00"
                     *           },
                     *           "aggregate_id": null,
                     *           "sequence": null,
                     *           "event_id": "invoice-2041-paid",
                     *           "filtered_count": 0,
                     *           "deliveries": [
                     *             {
                     *               "id": "0198c0de-7a11-7000-8000-000000000051",
                     *               "endpoint_id": "0198c0de-7a11-7000-8000-000000000031",
                     *               "event_id": "0198c0de-7a11-7000-8000-000000000041",
                     *               "event_type": "order.created",
                     *               "status": "succeeded",
                     *               "attempt_count": 1,
                     *               "next_attempt_at": null,
                     *               "created_at": "2026-01-31T12:00:00.000Z",
                     *               "completed_at": "2026-01-31T12:00:00.000Z"
                     *             }
                     *           ],
                     *           "has_more_deliveries": false
                     *         }
                     *       ],
                     *       "next_cursor": "AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE",
                     *       "has_more": true
                     *     }
                     */
                    "application/json": components["schemas"]["EventPage"];
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/events",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    emitEvent: {
        parameters: {
            query?: never;
            header?: {
                /** @description A key of your own, such as a UUID, that makes the request safe to repeat: for 24 hours the same key with the same body gets the first response again. Stored per tenant and caller; a refused request leaves its key free. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        /** @description JSON of at most 1 MiB. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "invoice.paid",
                 *       "data": {
                 *         "invoice": "INV-2041",
                 *         "amount": "120.00"
                 *       },
                 *       "event_id": "invoice-2041-paid"
                 *     }
                 */
                "application/json": components["schemas"]["EmitEvent"];
            };
        };
        responses: {
            /** @description The event; it is delivered within moments. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000041",
                     *       "type": "invoice.paid",
                     *       "timestamp": "2026-01-31T12:00:00.000Z",
                     *       "data": {
                     *         "invoice": "INV-2041",
                     *         "amount": "120.00"
                     *       },
                     *       "aggregate_id": null,
                     *       "sequence": null,
                     *       "event_id": "invoice-2041-paid",
                     *       "filtered_count": 0,
                     *       "deliveries": [
                     *         {
                     *           "id": "0198c0de-7a11-7000-8000-000000000051",
                     *           "endpoint_id": "0198c0de-7a11-7000-8000-000000000031",
                     *           "event_id": "0198c0de-7a11-7000-8000-000000000041",
                     *           "event_type": "order.created",
                     *           "status": "succeeded",
                     *           "attempt_count": 1,
                     *           "next_attempt_at": null,
                     *           "created_at": "2026-01-31T12:00:00.000Z",
                     *           "completed_at": "2026-01-31T12:00:00.000Z"
                     *         }
                     *       ],
                     *       "has_more_deliveries": false
                     *     }
                     */
                    "application/json": components["schemas"]["Event"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/events",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["IdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getEvent: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of your copy; if the resource is unchanged, 304 without a body. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /** @description The event's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The event. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000041",
                     *       "type": "invoice.paid",
                     *       "timestamp": "2026-01-31T12:00:00.000Z",
                     *       "data": {
                     *         "invoice": "INV-2041",
                     *         "amount": "120.00"
                     *       },
                     *       "aggregate_id": null,
                     *       "sequence": null,
                     *       "event_id": "invoice-2041-paid",
                     *       "filtered_count": 0,
                     *       "deliveries": [
                     *         {
                     *           "id": "0198c0de-7a11-7000-8000-000000000051",
                     *           "endpoint_id": "0198c0de-7a11-7000-8000-000000000031",
                     *           "event_id": "0198c0de-7a11-7000-8000-000000000041",
                     *           "event_type": "order.created",
                     *           "status": "succeeded",
                     *           "attempt_count": 1,
                     *           "next_attempt_at": null,
                     *           "created_at": "2026-01-31T12:00:00.000Z",
                     *           "completed_at": "2026-01-31T12:00:00.000Z"
                     *         }
                     *       ],
                     *       "has_more_deliveries": false
                     *     }
                     */
                    "application/json": components["schemas"]["Event"];
                };
            };
            /** @description The resource is unchanged since `If-None-Match`. */
            304: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["EventNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/events/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    listDeliveries: {
        parameters: {
            query?: {
                /** @description Entries on a page. */
                limit?: number;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
                /** @description Only deliveries to this endpoint. */
                endpoint_id?: string;
                /** @description Only deliveries of this event. */
                event_id?: string;
                /** @description Only deliveries of events of this type. */
                event_type?: string;
                /** @description Only deliveries in this status. */
                status?: "pending" | "succeeded" | "retrying" | "failed" | "cancelled" | "filtered" | "disabled";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    Link: components["headers"]["Link"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "data": [
                     *         {
                     *           "id": "0198c0de-7a11-7000-8000-000000000051",
                     *           "endpoint_id": "0198c0de-7a11-7000-8000-000000000031",
                     *           "event_id": "0198c0de-7a11-7000-8000-000000000041",
                     *           "event_type": "order.created",
                     *           "status": "succeeded",
                     *           "attempt_count": 1,
                     *           "next_attempt_at": null,
                     *           "created_at": "2026-01-31T12:00:00.000Z",
                     *           "completed_at": "2026-01-31T12:00:00.000Z"
                     *         }
                     *       ],
                     *       "next_cursor": "AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE",
                     *       "has_more": true
                     *     }
                     */
                    "application/json": components["schemas"]["DeliveryPage"];
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/deliveries",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getDelivery: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of your copy; if the resource is unchanged, 304 without a body. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /** @description The delivery's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The delivery. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000051",
                     *       "endpoint_id": "0198c0de-7a11-7000-8000-000000000031",
                     *       "event_id": "0198c0de-7a11-7000-8000-000000000041",
                     *       "event_type": "order.created",
                     *       "status": "succeeded",
                     *       "attempt_count": 1,
                     *       "next_attempt_at": null,
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "completed_at": "2026-01-31T12:00:00.000Z",
                     *       "attempts": [
                     *         {
                     *           "number": 1,
                     *           "started_at": "2026-01-31T12:00:00.000Z",
                     *           "duration_ms": 87,
                     *           "response_status": 200,
                     *           "response_body": "ok",
                     *           "error": null
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["DeliveryDetail"];
                };
            };
            /** @description The resource is unchanged since `If-None-Match`. */
            304: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["DeliveryNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/deliveries/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    retryDelivery: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The delivery's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The delivery, due now. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "0198c0de-7a11-7000-8000-000000000051",
                     *       "endpoint_id": "0198c0de-7a11-7000-8000-000000000031",
                     *       "event_id": "0198c0de-7a11-7000-8000-000000000041",
                     *       "event_type": "order.created",
                     *       "status": "succeeded",
                     *       "attempt_count": 1,
                     *       "next_attempt_at": null,
                     *       "created_at": "2026-01-31T12:00:00.000Z",
                     *       "completed_at": "2026-01-31T12:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Delivery"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["DeliveryNotFound"];
            /** @description `method_not_allowed`: This path has POST, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/webhooks/deliveries/0198c0de-7a11-7000-8000-000000000001/retry",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["WebhookDeliveriesConflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    listAuditEntries: {
        parameters: {
            query?: {
                /** @description Entries of this actor. */
                actor_id?: string;
                /** @description Entries of this action. */
                action?: string;
                /** @description Entries with this kind of target. */
                target_type?: string;
                /** @description Entries with this target. */
                target_id?: string;
                /** @description Entries from this time on. */
                since?: string;
                /** @description Entries before this time. */
                until?: string;
                /** @description Entries on a page. */
                limit?: number;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    Link: components["headers"]["Link"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "data": [
                     *         {
                     *           "id": "0198c0de-7a11-7000-8000-0000000000e1",
                     *           "occurred_at": "2026-01-31T12:00:00.000Z",
                     *           "actor": {
                     *             "type": "user",
                     *             "id": "0198c0de-7a11-7000-8000-0000000000aa",
                     *             "email": "ada@example.com",
                     *             "via": "scim"
                     *           },
                     *           "action": "webhook_endpoint.updated",
                     *           "target": {
                     *             "type": "webhook_endpoint",
                     *             "id": "0198c0de-7a11-7000-8000-0000000000b1"
                     *           },
                     *           "changes": {
                     *             "enabled": [
                     *               true,
                     *               false
                     *             ]
                     *           },
                     *           "network": "203.0.113.9",
                     *           "user_agent": "curl/8.5.0",
                     *           "request_id": "7f5b3c1e-0d2a-4c6b-9e8f-1a2b3c4d5e6f",
                     *           "session_id": "0198c0de-7a11-7000-8000-0000000000c1",
                     *           "outcome": "success",
                     *           "count": 1
                     *         }
                     *       ],
                     *       "next_cursor": "AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE",
                     *       "has_more": true
                     *     }
                     */
                    "application/json": components["schemas"]["AuditPage"];
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/audit-log",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    exportAuditEntries: {
        parameters: {
            query?: {
                /** @description Entries of this actor. */
                actor_id?: string;
                /** @description Entries of this action. */
                action?: string;
                /** @description Entries with this kind of target. */
                target_type?: string;
                /** @description Entries with this target. */
                target_id?: string;
                /** @description Entries from this time on. */
                since?: string;
                /** @description Entries before this time. */
                until?: string;
                /** @description One JSON object per line, or comma-separated values with a header line. */
                format?: "ndjson" | "csv";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The entries. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "Content-Disposition": components["headers"]["Content-Disposition"];
                    [name: string]: unknown;
                };
                content: {
                    /** @example {"id":"0198c0de-7a11-7000-8000-0000000000e1","occurred_at":"2026-01-31T12:00:00.000Z","actor":{"type":"user","id":"0198c0de-7a11-7000-8000-0000000000aa"},"action":"order.status_changed","target":{"type":"order","id":"0198c0de-7a11-7000-8000-000000000001"},"changes":{"status":["pending","confirmed"]},"network":"203.0.113.9","user_agent":"curl/8.5.0","request_id":"7f5b3c1e-0d2a-4c6b-9e8f-1a2b3c4d5e6f","session_id":null,"outcome":"success","count":1} */
                    "application/x-ndjson": string;
                    /** @example id,occurred_at,actor_type,actor_id,actor_email,actor_via,action,target_type,target_id,changes,network,user_agent,request_id,session_id,outcome,count */
                    "text/csv": string;
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/audit-log/export",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["AuditLogRateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getAuditCheckpoint: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The checkpoint. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "origin": "orders-saas-api/audit-log/0198c0de-7a11-7000-8000-000000000002",
                     *       "size": 42,
                     *       "root_hash": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=",
                     *       "signed_at": "2026-01-31T12:00:00.000Z",
                     *       "note": "orders-saas-api/audit-log/0198c0de-7a11-7000-8000-000000000002\n42\nq83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\n\n— orders-saas-api/audit-log/0198c0de-7a11-7000-8000-000000000002 Zm9vYg==\n"
                     *     }
                     */
                    "application/json": components["schemas"]["AuditCheckpoint"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/audit-log/checkpoint",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["AuditLogBusinessRuleViolation"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getAuditConsistency: {
        parameters: {
            query: {
                /**
                 * @description The size of the earlier tree.
                 * @example 1
                 */
                from: number;
                /**
                 * @description The size of the later tree.
                 * @example 2
                 */
                to: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The proof. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "from": 41,
                     *       "to": 42,
                     *       "hashes": [
                     *         "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["AuditConsistencyProof"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/audit-log/consistency",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolation"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getAuditProof: {
        parameters: {
            query?: {
                /** @description The size of the tree: the size of a checkpoint (default: the newest). */
                size?: number;
            };
            header?: never;
            path: {
                /** @description The entry's id. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The proof. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "leaf_index": 41,
                     *       "size": 42,
                     *       "leaf_hash": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=",
                     *       "hashes": [
                     *         "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="
                     *       ],
                     *       "canonical": "AAAAB3ZlcnNpb24=",
                     *       "salts": {
                     *         "network": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["AuditProof"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["EntryNotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/api/v1/audit-log/0198c0de-7a11-7000-8000-000000000001/proof",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            406: components["responses"]["NotAcceptable"];
            422: components["responses"]["ValidationErrorOrBusinessRuleViolation"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getAuditKeys: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The keys. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "keys": [
                     *         {
                     *           "kid": "0198c0de-7a11-7000-8000-0000000000d1",
                     *           "kty": "OKP",
                     *           "crv": "Ed25519",
                     *           "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                     *           "use": "sig",
                     *           "alg": "EdDSA"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["AuditKeys"];
                };
            };
            400: components["responses"]["MalformedRequest"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/.well-known/audit-keys.json",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getOpenApiJson: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of your copy; if the resource is unchanged, 304 without a body. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description This document as JSON. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "openapi": "3.1.0",
                     *       "info": {
                     *         "title": "Orders SaaS API",
                     *         "version": "1.0.0"
                     *       },
                     *       "paths": {}
                     *     }
                     */
                    "application/json": Record<string, never>;
                };
            };
            /** @description The resource is unchanged since `If-None-Match`. */
            304: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/openapi.json",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getOpenApiYaml: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of your copy; if the resource is unchanged, 304 without a body. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description This document as YAML. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example openapi: 3.1.0
                     *     info:
                     *       title: Orders SaaS API
                     *       version: 1.0.0
                     *     paths: {}
                     */
                    "application/yaml": unknown;
                };
            };
            /** @description The resource is unchanged since `If-None-Match`. */
            304: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/openapi.yaml",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getDocs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Swagger UI. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /** @example <!doctype html>… */
                    "text/html": string;
                };
            };
            400: components["responses"]["MalformedRequest"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/docs",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    getDocsFile: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The name of the file. */
                file: "swagger-ui.css" | "swagger-ui-bundle.js" | "favicon-16x16.png" | "favicon-32x32.png" | "start.js" | "page.css";
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content: {
                    /** @example body { margin: 0; } */
                    "text/css": string;
                    /** @example 'use strict'; */
                    "application/javascript": string;
                    "image/png": unknown;
                };
            };
            /** @description The part of the file that `Range` names. */
            206: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "Content-Range": components["headers"]["Content-Range"];
                    [name: string]: unknown;
                };
                content: {
                    "text/css": unknown;
                    "application/javascript": unknown;
                    "image/png": unknown;
                };
            };
            /** @description The file is unchanged since `If-None-Match` or `If-Modified-Since`. */
            304: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            404: components["responses"]["NotFound"];
            /** @description `method_not_allowed`: This path has GET, HEAD, and no other method. */
            405: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Allow: components["headers"]["Allow"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "type": "method_not_allowed",
                     *       "title": "Method Not Allowed",
                     *       "status": 405,
                     *       "detail": "PUT is not possible here.",
                     *       "instance": "/docs/0198c0de-7a11-7000-8000-000000000001",
                     *       "request_id": "5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11"
                     *     }
                     */
                    "application/problem+json": {
                        /**
                         * @description The kind of problem, for programs.
                         * @enum {string}
                         */
                        type: "method_not_allowed";
                        /**
                         * @description The type in words.
                         * @enum {string}
                         */
                        title: "Method Not Allowed";
                        /**
                         * @description The status of the response.
                         * @enum {integer}
                         */
                        status: 405;
                        /** @description The fault of this request, for people. */
                        detail: string;
                        /**
                         * Format: uri-reference
                         * @description The path of the request.
                         */
                        instance: string;
                        /** @description As in `X-Request-Id`: for logs and support. */
                        request_id: string;
                    };
                };
            };
            412: components["responses"]["DocumentsVersionConflict"];
            416: components["responses"]["DocumentsRangeNotSatisfiable"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
            default: components["responses"]["OtherProblem"];
        };
    };
    onSessionRevoked: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "session.revoked",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "user_id": "0198c0de-7a11-7000-8000-000000000042",
                 *         "session_ids": [
                 *           "0198c0de-7a11-7000-8000-000000000099"
                 *         ],
                 *         "reason": "ended_by_member",
                 *         "revoked_at": "2026-01-31T12:00:00.000Z"
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "session.revoked";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["SessionRevocation"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onAuditAuthentication: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "audit.authentication",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "id": "0198c0de-7a11-7000-8000-0000000000e1",
                 *         "occurred_at": "2026-01-31T12:00:00.000Z",
                 *         "actor": {
                 *           "type": "user",
                 *           "id": "0198c0de-7a11-7000-8000-0000000000aa",
                 *           "email": "ada@example.com",
                 *           "via": "scim"
                 *         },
                 *         "action": "webhook_endpoint.updated",
                 *         "target": {
                 *           "type": "webhook_endpoint",
                 *           "id": "0198c0de-7a11-7000-8000-0000000000b1"
                 *         },
                 *         "changes": {
                 *           "enabled": [
                 *             true,
                 *             false
                 *           ]
                 *         },
                 *         "network": "203.0.113.9",
                 *         "user_agent": "curl/8.5.0",
                 *         "request_id": "7f5b3c1e-0d2a-4c6b-9e8f-1a2b3c4d5e6f",
                 *         "session_id": "0198c0de-7a11-7000-8000-0000000000c1",
                 *         "outcome": "success",
                 *         "count": 1,
                 *         "leaf_index": 41,
                 *         "ocsf": {
                 *           "class_uid": 3001,
                 *           "class_name": "Account Change",
                 *           "activity_id": 99,
                 *           "severity_id": 1
                 *         }
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "audit.authentication";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["AuditEvent"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onAuditGroup: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "audit.group",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "id": "0198c0de-7a11-7000-8000-0000000000e1",
                 *         "occurred_at": "2026-01-31T12:00:00.000Z",
                 *         "actor": {
                 *           "type": "user",
                 *           "id": "0198c0de-7a11-7000-8000-0000000000aa",
                 *           "email": "ada@example.com",
                 *           "via": "scim"
                 *         },
                 *         "action": "webhook_endpoint.updated",
                 *         "target": {
                 *           "type": "webhook_endpoint",
                 *           "id": "0198c0de-7a11-7000-8000-0000000000b1"
                 *         },
                 *         "changes": {
                 *           "enabled": [
                 *             true,
                 *             false
                 *           ]
                 *         },
                 *         "network": "203.0.113.9",
                 *         "user_agent": "curl/8.5.0",
                 *         "request_id": "7f5b3c1e-0d2a-4c6b-9e8f-1a2b3c4d5e6f",
                 *         "session_id": "0198c0de-7a11-7000-8000-0000000000c1",
                 *         "outcome": "success",
                 *         "count": 1,
                 *         "leaf_index": 41,
                 *         "ocsf": {
                 *           "class_uid": 3001,
                 *           "class_name": "Account Change",
                 *           "activity_id": 99,
                 *           "severity_id": 1
                 *         }
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "audit.group";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["AuditEvent"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onAuditAccess: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "audit.access",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "id": "0198c0de-7a11-7000-8000-0000000000e1",
                 *         "occurred_at": "2026-01-31T12:00:00.000Z",
                 *         "actor": {
                 *           "type": "user",
                 *           "id": "0198c0de-7a11-7000-8000-0000000000aa",
                 *           "email": "ada@example.com",
                 *           "via": "scim"
                 *         },
                 *         "action": "webhook_endpoint.updated",
                 *         "target": {
                 *           "type": "webhook_endpoint",
                 *           "id": "0198c0de-7a11-7000-8000-0000000000b1"
                 *         },
                 *         "changes": {
                 *           "enabled": [
                 *             true,
                 *             false
                 *           ]
                 *         },
                 *         "network": "203.0.113.9",
                 *         "user_agent": "curl/8.5.0",
                 *         "request_id": "7f5b3c1e-0d2a-4c6b-9e8f-1a2b3c4d5e6f",
                 *         "session_id": "0198c0de-7a11-7000-8000-0000000000c1",
                 *         "outcome": "success",
                 *         "count": 1,
                 *         "leaf_index": 41,
                 *         "ocsf": {
                 *           "class_uid": 3001,
                 *           "class_name": "Account Change",
                 *           "activity_id": 99,
                 *           "severity_id": 1
                 *         }
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "audit.access";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["AuditEvent"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onAuditAccount: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "audit.account",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "id": "0198c0de-7a11-7000-8000-0000000000e1",
                 *         "occurred_at": "2026-01-31T12:00:00.000Z",
                 *         "actor": {
                 *           "type": "user",
                 *           "id": "0198c0de-7a11-7000-8000-0000000000aa",
                 *           "email": "ada@example.com",
                 *           "via": "scim"
                 *         },
                 *         "action": "webhook_endpoint.updated",
                 *         "target": {
                 *           "type": "webhook_endpoint",
                 *           "id": "0198c0de-7a11-7000-8000-0000000000b1"
                 *         },
                 *         "changes": {
                 *           "enabled": [
                 *             true,
                 *             false
                 *           ]
                 *         },
                 *         "network": "203.0.113.9",
                 *         "user_agent": "curl/8.5.0",
                 *         "request_id": "7f5b3c1e-0d2a-4c6b-9e8f-1a2b3c4d5e6f",
                 *         "session_id": "0198c0de-7a11-7000-8000-0000000000c1",
                 *         "outcome": "success",
                 *         "count": 1,
                 *         "leaf_index": 41,
                 *         "ocsf": {
                 *           "class_uid": 3001,
                 *           "class_name": "Account Change",
                 *           "activity_id": 99,
                 *           "severity_id": 1
                 *         }
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "audit.account";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["AuditEvent"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onAuditActivity: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "audit.activity",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "id": "0198c0de-7a11-7000-8000-0000000000e1",
                 *         "occurred_at": "2026-01-31T12:00:00.000Z",
                 *         "actor": {
                 *           "type": "user",
                 *           "id": "0198c0de-7a11-7000-8000-0000000000aa",
                 *           "email": "ada@example.com",
                 *           "via": "scim"
                 *         },
                 *         "action": "webhook_endpoint.updated",
                 *         "target": {
                 *           "type": "webhook_endpoint",
                 *           "id": "0198c0de-7a11-7000-8000-0000000000b1"
                 *         },
                 *         "changes": {
                 *           "enabled": [
                 *             true,
                 *             false
                 *           ]
                 *         },
                 *         "network": "203.0.113.9",
                 *         "user_agent": "curl/8.5.0",
                 *         "request_id": "7f5b3c1e-0d2a-4c6b-9e8f-1a2b3c4d5e6f",
                 *         "session_id": "0198c0de-7a11-7000-8000-0000000000c1",
                 *         "outcome": "success",
                 *         "count": 1,
                 *         "leaf_index": 41,
                 *         "ocsf": {
                 *           "class_uid": 3001,
                 *           "class_name": "Account Change",
                 *           "activity_id": 99,
                 *           "severity_id": 1
                 *         }
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "audit.activity";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["AuditEvent"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onAuditCheckpoint: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "audit.checkpoint",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "origin": "orders-saas-api/audit-log/0198c0de-7a11-7000-8000-000000000002",
                 *         "size": 42,
                 *         "root_hash": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=",
                 *         "signed_at": "2026-01-31T12:00:00.000Z",
                 *         "note": "orders-saas-api/audit-log/0198c0de-7a11-7000-8000-000000000002\n42\nq83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\n\n— orders-saas-api/audit-log/0198c0de-7a11-7000-8000-000000000002 Zm9vYg==\n"
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "audit.checkpoint";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["AuditCheckpoint"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onOrderCreated: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "order.created",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "id": "0198c0de-7a11-7000-8000-000000000001",
                 *         "customer_id": "3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c",
                 *         "status": "pending",
                 *         "total_amount": "59.98",
                 *         "currency": "USD",
                 *         "notes": "Leave at the door",
                 *         "metadata": {
                 *           "channel": "web"
                 *         },
                 *         "items": [
                 *           {
                 *             "id": "0198c0de-7a11-7000-8000-000000000011",
                 *             "product_id": "prod-1",
                 *             "product_name": "Widget",
                 *             "quantity": 2,
                 *             "unit_price": "29.99"
                 *           }
                 *         ],
                 *         "version": 1,
                 *         "created_at": "2026-01-31T12:00:00.000Z",
                 *         "updated_at": "2026-01-31T12:00:00.000Z"
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "order.created";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["Order"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onOrderUpdated: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "order.updated",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "id": "0198c0de-7a11-7000-8000-000000000001",
                 *         "customer_id": "3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c",
                 *         "status": "pending",
                 *         "total_amount": "59.98",
                 *         "currency": "USD",
                 *         "notes": "Leave at the door",
                 *         "metadata": {
                 *           "channel": "web"
                 *         },
                 *         "items": [
                 *           {
                 *             "id": "0198c0de-7a11-7000-8000-000000000011",
                 *             "product_id": "prod-1",
                 *             "product_name": "Widget",
                 *             "quantity": 2,
                 *             "unit_price": "29.99"
                 *           }
                 *         ],
                 *         "version": 2,
                 *         "created_at": "2026-01-31T12:00:00.000Z",
                 *         "updated_at": "2026-01-31T12:00:00.000Z"
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "order.updated";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["Order"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onOrderConfirmed: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "order.confirmed",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "id": "0198c0de-7a11-7000-8000-000000000001",
                 *         "customer_id": "3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c",
                 *         "status": "confirmed",
                 *         "total_amount": "59.98",
                 *         "currency": "USD",
                 *         "notes": "Leave at the door",
                 *         "metadata": {
                 *           "channel": "web"
                 *         },
                 *         "items": [
                 *           {
                 *             "id": "0198c0de-7a11-7000-8000-000000000011",
                 *             "product_id": "prod-1",
                 *             "product_name": "Widget",
                 *             "quantity": 2,
                 *             "unit_price": "29.99"
                 *           }
                 *         ],
                 *         "version": 2,
                 *         "created_at": "2026-01-31T12:00:00.000Z",
                 *         "updated_at": "2026-01-31T12:00:00.000Z"
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "order.confirmed";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["Order"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onOrderProcessing: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "order.processing",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "id": "0198c0de-7a11-7000-8000-000000000001",
                 *         "customer_id": "3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c",
                 *         "status": "processing",
                 *         "total_amount": "59.98",
                 *         "currency": "USD",
                 *         "notes": "Leave at the door",
                 *         "metadata": {
                 *           "channel": "web"
                 *         },
                 *         "items": [
                 *           {
                 *             "id": "0198c0de-7a11-7000-8000-000000000011",
                 *             "product_id": "prod-1",
                 *             "product_name": "Widget",
                 *             "quantity": 2,
                 *             "unit_price": "29.99"
                 *           }
                 *         ],
                 *         "version": 2,
                 *         "created_at": "2026-01-31T12:00:00.000Z",
                 *         "updated_at": "2026-01-31T12:00:00.000Z"
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "order.processing";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["Order"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onOrderCompleted: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "order.completed",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "id": "0198c0de-7a11-7000-8000-000000000001",
                 *         "customer_id": "3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c",
                 *         "status": "completed",
                 *         "total_amount": "59.98",
                 *         "currency": "USD",
                 *         "notes": "Leave at the door",
                 *         "metadata": {
                 *           "channel": "web"
                 *         },
                 *         "items": [
                 *           {
                 *             "id": "0198c0de-7a11-7000-8000-000000000011",
                 *             "product_id": "prod-1",
                 *             "product_name": "Widget",
                 *             "quantity": 2,
                 *             "unit_price": "29.99"
                 *           }
                 *         ],
                 *         "version": 2,
                 *         "created_at": "2026-01-31T12:00:00.000Z",
                 *         "updated_at": "2026-01-31T12:00:00.000Z"
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "order.completed";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["Order"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onOrderCancelled: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "order.cancelled",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "id": "0198c0de-7a11-7000-8000-000000000001",
                 *         "customer_id": "3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c",
                 *         "status": "cancelled",
                 *         "total_amount": "59.98",
                 *         "currency": "USD",
                 *         "notes": "Leave at the door",
                 *         "metadata": {
                 *           "channel": "web"
                 *         },
                 *         "items": [
                 *           {
                 *             "id": "0198c0de-7a11-7000-8000-000000000011",
                 *             "product_id": "prod-1",
                 *             "product_name": "Widget",
                 *             "quantity": 2,
                 *             "unit_price": "29.99"
                 *           }
                 *         ],
                 *         "version": 2,
                 *         "created_at": "2026-01-31T12:00:00.000Z",
                 *         "updated_at": "2026-01-31T12:00:00.000Z"
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "order.cancelled";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["Order"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onTenantChanged: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "tenant.changed",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "id": "0198c0de-7a11-7000-8000-000000000002",
                 *         "name": "Analytical Engines Ltd",
                 *         "status": "active",
                 *         "policies": {
                 *           "second_factor": "optional",
                 *           "second_factor_grace_days": 0,
                 *           "session_idle_minutes": null,
                 *           "session_max_days": null,
                 *           "allowed_cidrs": [
                 *             "203.0.113.0/24"
                 *           ],
                 *           "api_key_max_days": null
                 *         },
                 *         "created_at": "2026-01-31T12:00:00.000Z",
                 *         "version": 2
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "tenant.changed";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["OwnTenant"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onMemberInvited: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "member.invited",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "id": "0198c0de-7a11-7000-8000-000000000051",
                 *         "email": "grace@example.com",
                 *         "role": "member",
                 *         "invited_by": "0198c0de-7a11-7000-8000-0000000000aa",
                 *         "expires_at": "2026-01-31T12:00:00.000Z",
                 *         "created_at": "2026-01-31T12:00:00.000Z",
                 *         "version": 1
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "member.invited";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["Invitation"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onMemberJoined: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "member.joined",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "user": {
                 *           "id": "0198c0de-7a11-7000-8000-0000000000aa",
                 *           "email": "ada@example.com",
                 *           "name": "Ada Lovelace"
                 *         },
                 *         "role": "member",
                 *         "status": "active",
                 *         "managed_by": "user",
                 *         "second_factor": true,
                 *         "joined_at": "2026-01-31T12:00:00.000Z",
                 *         "last_seen_at": "2026-01-31T12:00:00.000Z",
                 *         "version": 1
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "member.joined";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["Member"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onMemberChanged: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "member.changed",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "user": {
                 *           "id": "0198c0de-7a11-7000-8000-0000000000aa",
                 *           "email": "ada@example.com",
                 *           "name": "Ada Lovelace"
                 *         },
                 *         "role": "admin",
                 *         "status": "active",
                 *         "managed_by": "user",
                 *         "second_factor": true,
                 *         "joined_at": "2026-01-31T12:00:00.000Z",
                 *         "last_seen_at": "2026-01-31T12:00:00.000Z",
                 *         "version": 2
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "member.changed";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["Member"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onMemberRemoved: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "member.removed",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "user": {
                 *           "id": "0198c0de-7a11-7000-8000-0000000000aa",
                 *           "email": "ada@example.com",
                 *           "name": "Ada Lovelace"
                 *         },
                 *         "role": "member",
                 *         "status": "active",
                 *         "managed_by": "user",
                 *         "second_factor": true,
                 *         "joined_at": "2026-01-31T12:00:00.000Z",
                 *         "last_seen_at": "2026-01-31T12:00:00.000Z",
                 *         "version": 1
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "member.removed";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["Member"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onSsoChanged: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "sso.changed",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "subject": "domain",
                 *         "id": "0198c0de-7a11-7000-8000-000000000051",
                 *         "change": "verified",
                 *         "changed_at": "2026-01-31T12:00:00.000Z"
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "sso.changed";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["SsoChange"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onApiKeyCreated: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "api_key.created",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "id": "0198c0de-7a11-7000-8000-000000000041",
                 *         "name": "Warehouse",
                 *         "kind": "tenant",
                 *         "scopes": [
                 *           "orders:read",
                 *           "orders:write"
                 *         ],
                 *         "hint": "6QQ9",
                 *         "created_by": "0198c0de-7a11-7000-8000-0000000000aa",
                 *         "expires_at": "2027-01-31T12:00:00.000Z",
                 *         "last_used_at": "2026-01-31T12:00:00.000Z",
                 *         "allowed_cidrs": [
                 *           "203.0.113.0/24"
                 *         ],
                 *         "rate_limit": 20,
                 *         "version": 1,
                 *         "created_at": "2026-01-31T12:00:00.000Z"
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "api_key.created";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["ApiKey"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onApiKeyRevoked: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "api_key.revoked",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "id": "0198c0de-7a11-7000-8000-000000000041",
                 *         "name": "Warehouse",
                 *         "kind": "tenant",
                 *         "scopes": [
                 *           "orders:read",
                 *           "orders:write"
                 *         ],
                 *         "hint": "6QQ9",
                 *         "created_by": "0198c0de-7a11-7000-8000-0000000000aa",
                 *         "expires_at": "2027-01-31T12:00:00.000Z",
                 *         "last_used_at": "2026-01-31T12:00:00.000Z",
                 *         "allowed_cidrs": [
                 *           "203.0.113.0/24"
                 *         ],
                 *         "rate_limit": 20,
                 *         "version": 1,
                 *         "created_at": "2026-01-31T12:00:00.000Z"
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "api_key.revoked";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["ApiKey"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onWebhookTest: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "webhook.test",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "id": "0198c0de-7a11-7000-8000-000000000031",
                 *         "url": "https://example.com/webhooks/orders",
                 *         "description": "Warehouse",
                 *         "event_types": [
                 *           "order.*",
                 *           "invoice.paid"
                 *         ],
                 *         "headers": {
                 *           "Authorization": "***"
                 *         },
                 *         "rate_limit": 50,
                 *         "ordering": "none",
                 *         "signature": "v1",
                 *         "enabled": true,
                 *         "consent": "pending",
                 *         "disabled_reason": null,
                 *         "version": 1,
                 *         "created_at": "2026-01-31T12:00:00.000Z",
                 *         "updated_at": "2026-01-31T12:00:00.000Z"
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "webhook.test";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["Endpoint"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onWebhookChallenge: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "webhook.challenge",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "challenge": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "webhook.challenge";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["Challenge"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onWebhookEndpointDisabled: {
        parameters: {
            query?: never;
            header: {
                /** @description The delivery's id: the same each time it is tried. */
                "webhook-id": string;
                /** @description When this attempt was made, unix seconds. Refuse a message older than five minutes. */
                "webhook-timestamp": number;
                /** @description `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by spaces, while a secret rotates. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The event. Verify the signature over these very bytes. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "id": "0198c0de-7a11-7000-8000-000000000041",
                 *       "type": "webhook.endpoint.disabled",
                 *       "timestamp": "2026-01-31T12:00:00.000Z",
                 *       "data": {
                 *         "id": "0198c0de-7a11-7000-8000-000000000031",
                 *         "url": "https://example.com/webhooks/orders",
                 *         "description": "Warehouse",
                 *         "event_types": [
                 *           "order.*",
                 *           "invoice.paid"
                 *         ],
                 *         "headers": {
                 *           "Authorization": "***"
                 *         },
                 *         "rate_limit": 50,
                 *         "ordering": "none",
                 *         "signature": "v1",
                 *         "enabled": false,
                 *         "consent": "pending",
                 *         "disabled_reason": "The endpoint answered 410 Gone.",
                 *         "version": 2,
                 *         "created_at": "2026-01-31T12:00:00.000Z",
                 *         "updated_at": "2026-01-31T12:05:00.000Z"
                 *       }
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The event's id, the same for every endpoint.
                     */
                    id: string;
                    /**
                     * @description The type of the event.
                     * @constant
                     */
                    type: "webhook.endpoint.disabled";
                    /**
                     * Format: date-time
                     * @description When it happened.
                     */
                    timestamp: string;
                    data: components["schemas"]["Endpoint"];
                };
            };
        };
        responses: {
            /** @description Gone: the endpoint is disabled, and gets no more messages. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Received: it is not sent again. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 429 not before `Retry-After`. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not received: it is tried again by the schedule; after 503 not before `Retry-After`. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
}
